"""Comparisons of two sources of truth, and the records on which they differ."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal.core.ids import uuid7


class Reconciliation(models.Model):
    """One run of a check. A row that is due is its own outbox entry: ``sent_at`` says when a worker was told."""

    class Status(models.TextChoices):
        DUE = "due", "Due"
        RUNNING = "running", "Comparing"
        AGREES = "agrees", "Agrees"
        DIFFERS = "differs", "Differs"
        CANNOT_SEE = "cannot_see", "Cannot see"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=80, help_text="of the check, as declared in the code")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DUE)
    due_at = models.DateTimeField()
    asked_by = models.CharField(
        max_length=200, default="", blank=True, help_text='label of a person; "": its schedule'
    )
    sent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    problem = models.TextField(default="", blank=True, help_text="why it cannot see")
    mismatches = models.PositiveIntegerField(default=0)
    new_mismatches = models.PositiveIntegerField(default=0)
    gone_mismatches = models.PositiveIntegerField(default=0)
    at_stake = models.JSONField(default=dict, help_text='{currency: amount as text}; "" where there is no currency')

    class Meta:
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "due_at"], name="reconciliation_once_when_due", condition=Q(asked_by="")
            ),
            models.CheckConstraint(
                name="reconciliation_ended_has_end",
                condition=Q(status__in=["due", "running"]) ^ Q(ended_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["name", "-id"], name="reconciliation_by_check"),
            models.Index(fields=["id"], name="reconciliation_open", condition=Q(status__in=["due", "running"])),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.due_at:%Y-%m-%d %H:%M}"


class Discrepancy(models.Model):
    """A record on which the two sides of a check differ, from the first time that was seen until it was gone."""

    name = models.CharField(max_length=80, help_text="of the check")
    key = models.CharField(max_length=200)
    left = models.CharField(max_length=500, null=True, help_text="NULL: has no such record")  # noqa: DJ001
    right = models.CharField(max_length=500, null=True, help_text="NULL: has no such record")  # noqa: DJ001
    amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, default="", blank=True)
    note = models.CharField(max_length=500, default="", blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["-amount", "key"]
        constraints = [
            models.UniqueConstraint(fields=["name", "key"], name="discrepancy_open_once", condition=Q(gone_at=None))
        ]
        indexes = [models.Index(fields=["name", "-gone_at"], name="discrepancy_by_check")]

    def __str__(self) -> str:
        return f"{self.name} {self.key}"
