"""The portal's own processes: who is alive."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """A worker or dispatcher process and when it last said that it lives."""

    class Kind(models.TextChoices):
        WORKER = "worker", "Worker"
        DISPATCHER = "dispatcher", "Dispatcher"

    name = models.CharField(max_length=200, primary_key=True, help_text="host:pid-namespace:pid:start")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    queues = models.JSONField(default=list)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
