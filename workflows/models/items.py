"""The items of a fan-out, each with a checkpoint of its own, and the slots in which workers do them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from workflows.engine.state import ItemStatus
from workflows.models.runs import Run

# Like the tables of a run's steps, both point to their run without a constraint: they are written by statements
# that know the run to be there.


class StepItem(models.Model):
    """One item of a fan-out, and what became of it. ``slot`` and ``fence`` say who may write its outcome."""

    pk = models.CompositePrimaryKey("run_id", "step", "index")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    step = models.CharField(max_length=80)
    index = models.PositiveIntegerField(help_text="its place in the list, from 0")
    generation = models.PositiveIntegerField(
        default=0, help_text="grows when another item takes the place, or after its effect was taken back"
    )
    status = models.CharField(max_length=12, choices=[(s.value, s.value.capitalize()) for s in ItemStatus])
    name = models.CharField(max_length=200, default="", blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, default="", blank=True)
    input = models.JSONField(null=True)
    output = models.JSONField(null=True)
    error = models.JSONField(null=True, help_text="the latest: {type, code, message, context, chain, stack}")
    attempts = models.PositiveIntegerField(default=0, help_text="tries that count against the retry limit")
    tries = models.JSONField(
        default=list, help_text="those that did not succeed: number, outcome, error, times, worker"
    )
    slot = models.PositiveIntegerField(default=0)
    fence = models.BigIntegerField(default=0)
    worker = models.CharField(max_length=200, default="", blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["index"]
        constraints = [
            models.CheckConstraint(name="item_status_known", condition=Q(status__in=[s.value for s in ItemStatus])),
        ]
        indexes = [
            models.Index(fields=["run", "step", "index"], name="item_to_do", condition=Q(status="pending")),
            models.Index(fields=["run", "step", "index"], name="item_in_hand", condition=Q(status="running")),
            models.Index(fields=["run", "step", "index"], name="item_failed", condition=Q(status="failed")),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.step} {self.index}"

    @property
    def operation_key(self) -> str:
        """The key that every attempt of this item sends, so that the other side can tell a repeat."""
        return f"{self.run_id}:{self.step}:{self.generation}:{self.index}"


class ItemSlot(models.Model):
    """The right to do items of one step, one at a time: there are as many as the step's ``concurrency``.

    Whoever holds a slot has its lease; ``fence`` grows with each claim, so that a worker that was presumed dead
    can no longer write what became of its items.
    """

    pk = models.CompositePrimaryKey("run_id", "step", "number")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    step = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    fence = models.BigIntegerField(default=0)
    lease_owner = models.CharField(max_length=200, default="", blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True, help_text="when a worker was asked to take it; NULL: nobody is")
    sent_count = models.PositiveIntegerField(default=0, help_text="askings in a row that no worker has followed")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["run"], name="slot_held", condition=~Q(lease_owner=""))]

    def __str__(self) -> str:
        return f"{self.run_id} {self.step} {self.number}"
