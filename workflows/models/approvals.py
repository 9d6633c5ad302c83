"""Questions at which runs wait for a person's answer."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from portal.core.access import AccessScope
from portal.core.ids import uuid7
from workflows.models.runs import Run


class ApprovalRequest(models.Model):
    """What a run asks at a step. Written with the checkpoint of the wait; one of a step is open at a time."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        APPROVED = "approved", "Approved"
        REJECTED = "rejected", "Rejected"
        EXPIRED = "expired", "Expired"
        WITHDRAWN = "withdrawn", "Withdrawn"  # the run was ended, or somebody skipped the step

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    step = models.CharField(max_length=80)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN)
    question = models.TextField()
    facts = models.JSONField(default=list, help_text="[[name, value], …], as text")
    permission = models.CharField(max_length=40, help_text="the right that an answer needs on the workflow")
    roles = models.JSONField(default=list, help_text="one of these is needed as well; empty: none")
    four_eyes = models.BooleanField(default=True, help_text="whoever started the run may not answer")
    asked_at = models.DateTimeField()
    remind_at = models.DateTimeField(null=True, help_text="later than this it is overdue")
    reminded_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    reason = models.TextField(blank=True)

    class Meta:
        default_permissions = ()
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "step"], name="approval_open_once", condition=Q(status="open")),
        ]
        indexes = [
            models.Index(
                fields=["remind_at"],
                name="approval_to_remind",
                condition=Q(status="open", reminded_at__isnull=True, remind_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.step}"

    @property
    def access_scope(self) -> AccessScope:
        """Where grants on this are looked for: its run's workflow."""
        return self.run.access_scope
