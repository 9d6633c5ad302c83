"""What is known of each workflow's code: one row a workflow, one row a version of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from portal.core.access import AccessScope
from portal.core.models import Team
from portal.core.permissions import permission_choices


class Workflow(models.Model):
    """A business workflow, as registered from a ``flows.py``. Object grants hang on it."""

    slug = models.SlugField(max_length=80, unique=True)
    title = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    tier = models.PositiveSmallIntegerField(default=3, help_text="1 is the most important")
    latest_version = models.PositiveIntegerField()
    success_target = models.FloatField(help_text="share of runs that must succeed, 0 to 1")
    within = models.DurationField(help_text="a run that takes longer is late")
    runbook = models.SlugField(max_length=80)
    registered_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True, help_text="no longer in the code since")
    paused_at = models.DateTimeField(null=True, help_text="new runs are accepted but held")
    paused_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    paused_reason = models.TextField(blank=True)

    class Meta:
        ordering = ["slug"]
        default_permissions = ()
        permissions = permission_choices()

    def __str__(self) -> str:
        return self.slug

    @property
    def access_scope(self) -> AccessScope:
        """Where grants on this workflow are looked for."""
        return AccessScope(workflow_id=self.pk, team_id=self.team_id)


class WorkflowVersion(models.Model):
    """The shape of one version: steps, edges, effects, as JSON (see ``definition.describe``)."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    digest = models.CharField(
        max_length=64, help_text="SHA-256 of the definition: a change without a new number shows"
    )
    first_seen_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["workflow", "number"], name="version_once")]

    def __str__(self) -> str:
        return f"{self.workflow_id} v{self.number}"
