"""When runs start by the clock, and what became of each time."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from portal.core.access import AccessScope
from portal.core.ids import uuid7
from workflows.models.definitions import Workflow
from workflows.models.runs import Run


class Schedule(models.Model):
    """A schedule of a workflow, as registered from the code; the dispatcher starts what is due at ``next_at``."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    name = models.SlugField(max_length=40)
    cron = models.CharField(max_length=120)
    zone = models.CharField(max_length=64)
    catch_up = models.CharField(max_length=6)
    overlap = models.CharField(max_length=5)
    next_at = models.DateTimeField(null=True)
    retired_at = models.DateTimeField(null=True, help_text="no longer in the code since")
    paused_at = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(null=True, help_text="goes on by itself then; NULL: when somebody resumes it")
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    paused_reason = models.TextField(blank=True)

    class Meta:
        default_permissions = ()
        ordering = ["workflow", "name"]
        constraints = [models.UniqueConstraint(fields=["workflow", "name"], name="schedule_once")]
        indexes = [
            models.Index(fields=["next_at"], name="schedule_due", condition=Q(retired_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} {self.name}"

    def is_paused_at(self, moment: datetime) -> bool:
        """Whether nothing is started at ``moment``, because somebody said so."""
        if self.paused_at is None or moment < self.paused_at:
            return False
        return self.paused_until is None or moment < self.paused_until

    @property
    def access_scope(self) -> AccessScope:
        """Where grants on this are looked for: its workflow."""
        return self.workflow.access_scope


class ScheduledTime(models.Model):
    """A time at which a schedule was due, and what became of it."""

    class Status(models.TextChoices):
        STARTED = "started", "Started"
        QUEUED = "queued", "Waits for the run before it"
        MISSED = "missed", "Missed"
        CAUGHT_UP = "caught_up", "Caught up"
        SKIPPED = "skipped", "Skipped"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="+", db_index=False)
    due_at = models.DateTimeField()
    status = models.CharField(max_length=9, choices=Status.choices)
    why = models.TextField(blank=True, help_text="why it did not simply start, in words")
    run = models.ForeignKey(Run, null=True, on_delete=models.SET_NULL, related_name="+")
    noted_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        ordering = ["-due_at"]
        constraints = [models.UniqueConstraint(fields=["schedule", "due_at"], name="scheduled_time_once")]
        indexes = [
            models.Index(
                fields=["schedule", "due_at"],
                name="scheduled_time_open",
                condition=Q(status__in=["queued", "missed"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.due_at}"

    @property
    def access_scope(self) -> AccessScope:
        """Where grants on this are looked for: its schedule's workflow."""
        return self.schedule.access_scope
