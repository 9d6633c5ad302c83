"""The retention register: until when each archived document is kept."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal.core.ids import uuid7


class RetentionEntry(models.Model):
    """A document in a client's register, numbered in the order of coming. It is withdrawn, never deleted."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    client = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    reference = models.CharField(max_length=40)
    matter = models.CharField(max_length=20)
    title = models.CharField(max_length=200)
    archive_id = models.CharField(max_length=40)
    keep_until = models.DateField()
    run_id = models.UUIDField(help_text="the run that has registered it")
    registered_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["client", "number"]
        constraints = [
            models.UniqueConstraint(fields=["client", "number"], name="retention_number_once"),
            models.UniqueConstraint(
                fields=["reference"], name="retention_document_once", condition=Q(withdrawn_at__isnull=True)
            ),
        ]
        indexes = [models.Index(fields=["run_id"], name="retention_by_run")]

    def __str__(self) -> str:
        return f"{self.client} {self.number}: {self.reference}"
