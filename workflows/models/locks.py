"""Locks on what runs share: who holds each, and who waits for it in which order."""

from __future__ import annotations

from django.db import models

from workflows.models.runs import Run


class ResourceLock(models.Model):
    """A lock that steps take by its key. Held by a run, not by a worker: who takes the run over holds it too.

    The row stays while the lock is free; rows that nobody has used for a day are cleared away.
    """

    key = models.CharField(max_length=200, primary_key=True)
    # Null: free. Without a constraint, as the rows of steps: a run is never removed alone.
    run = models.ForeignKey(
        Run, null=True, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    step = models.CharField(max_length=80, default="", blank=True)
    token = models.BigIntegerField(help_text="fencing token: grows with each time that any lock is taken")
    since = models.DateTimeField(help_text="when it was taken, or given back")

    class Meta:
        default_permissions = ()
        ordering = ["key"]
        indexes = [
            models.Index(fields=["run"], name="lock_holder", condition=models.Q(run__isnull=False)),
            models.Index(fields=["since"], name="lock_free", condition=models.Q(run__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.key


class LockTicket(models.Model):
    """A run's place in the queue before a lock. The lowest number is the next."""

    lock = models.ForeignKey(ResourceLock, on_delete=models.CASCADE, related_name="+", db_index=False)
    run = models.OneToOneField(Run, on_delete=models.CASCADE, related_name="+", db_constraint=False)
    step = models.CharField(max_length=80)
    queued_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        ordering = ["id"]
        indexes = [models.Index(fields=["lock", "id"], name="ticket_order")]

    def __str__(self) -> str:
        return f"{self.lock_id} #{self.pk}"
