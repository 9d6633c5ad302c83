"""One command on many things: the operation, and one item for each thing that it touches."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal.core.ids import uuid7
from portal.core.models import ApiToken, User


class BulkOperation(models.Model):
    """A command on everything that a filter matched, carried out in stages. The items are fixed when it starts."""

    class Status(models.TextChoices):
        ASKED = "asked", "Waits for approval"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        HALTED = "halted", "Halted"
        STOPPED = "stopped", "Stopped"
        DONE = "done", "Done"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=40)
    command = models.CharField(max_length=40)
    filter = models.TextField(blank=True, help_text="query string of the kind's list")
    chosen = models.JSONField(default=list, help_text="ids of single rows of it that were chosen; empty: all")
    reason = models.TextField()
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.RUNNING)
    halted_because = models.TextField(blank=True)
    per_minute = models.PositiveIntegerField()
    ladder = models.JSONField(help_text="how many items each stage has")
    stage = models.PositiveSmallIntegerField(default=0, help_text="the stage that is under way, from 0")
    trusted_stage = models.SmallIntegerField(
        default=-1, help_text="the latest stage that a person let go on although it did not prove itself"
    )
    total = models.PositiveIntegerField()
    preview = models.JSONField(help_text="the dry run that was confirmed, as the page showed it")
    history = models.JSONField(default=list, help_text="[{at, who, what, reason}], oldest first")
    user = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="+", help_text="with whose rights it is carried out"
    )
    token = models.ForeignKey(ApiToken, on_delete=models.PROTECT, null=True, related_name="+")
    started_by = models.CharField(max_length=200, help_text="label of the actor")
    created_at = models.DateTimeField()
    next_at = models.DateTimeField(help_text="before this the rate allows no further item")
    looked_at = models.DateTimeField(null=True, help_text="when those that were done were last judged")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="bulk_ended_has_end", condition=Q(status__in=["stopped", "done"]) ^ Q(ended_at__isnull=True)
            ),
            models.CheckConstraint(name="bulk_halt_has_cause", condition=~Q(status="halted") | ~Q(halted_because="")),
        ]
        indexes = [models.Index(fields=["id"], name="bulk_running", condition=Q(status="running"))]

    def __str__(self) -> str:
        return f"{self.command} {self.total} {self.kind}"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in {self.Status.STOPPED, self.Status.DONE}


class BulkItem(models.Model):
    """One thing that an operation touches: whether it was done, and what became of it."""

    class Status(models.TextChoices):
        PENDING = "pending", "To do"
        DONE = "done", "Done"
        REFUSED = "refused", "Refused"
        NOT_NEEDED = "not_needed", "Not needed"

    class Verdict(models.TextChoices):
        OPEN = "", "Not known yet"
        GOOD = "good", "Good"
        BAD = "bad", "Bad"
        INCONCLUSIVE = "inconclusive", "Inconclusive"

    operation = models.ForeignKey(BulkOperation, on_delete=models.CASCADE, related_name="+", db_index=False)
    position = models.PositiveIntegerField()
    stage = models.PositiveSmallIntegerField()
    object_id = models.UUIDField()
    label = models.CharField(max_length=200)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    verdict = models.CharField(max_length=12, choices=Verdict.choices, default=Verdict.OPEN, blank=True)
    words = models.TextField(blank=True, help_text="why it was refused, or what became of it")
    done_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["operation", "position"]
        constraints = [
            models.UniqueConstraint(fields=["operation", "position"], name="bulk_position_once"),
            models.UniqueConstraint(fields=["operation", "object_id"], name="bulk_object_once"),
            models.CheckConstraint(
                name="bulk_item_done_has_time", condition=Q(status="pending") ^ Q(done_at__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["operation", "position"], name="bulk_item_next", condition=Q(status="pending")),
            models.Index(fields=["object_id"], name="bulk_item_to_do", condition=Q(status="pending")),
            models.Index(fields=["operation"], name="bulk_item_watched", condition=Q(status="done", verdict="")),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.status}"
