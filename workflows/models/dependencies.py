"""Services that steps call, and the circuit breaker of each, shared by all workers."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal.core.ids import uuid7


class Dependency(models.Model):
    """A service that steps call. ``breaker_state`` decides whether calls go out."""

    class State(models.TextChoices):
        CLOSED = "closed", "Closed"
        OPEN = "open", "Open"
        HALF_OPEN = "half_open", "Half-open"
        FORCED_OPEN = "forced_open", "Forced open"
        FORCED_CLOSED = "forced_closed", "Forced closed"

    name = models.SlugField(max_length=80, unique=True)
    settings = models.JSONField(help_text="as declared: timeout and thresholds")
    state = models.CharField(max_length=14, choices=State.choices, default=State.CLOSED)
    state_since = models.DateTimeField()
    probe_at = models.DateTimeField(null=True, help_text="when an open breaker lets the next probe through")
    opened_times = models.PositiveIntegerField(
        default=0, help_text="openings in a row; the open time doubles with each"
    )
    forced_until = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    last_error = models.JSONField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="forced_state_ends",
                condition=~Q(state__in=["forced_open", "forced_closed"]) | Q(forced_until__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.name


class CallWindow(models.Model):
    """Calls to a dependency in one slot of five seconds, summed over all workers."""

    pk = models.CompositePrimaryKey("dependency_id", "slot_at")
    dependency = models.ForeignKey(Dependency, on_delete=models.CASCADE, related_name="+", db_index=False)
    slot_at = models.DateTimeField()
    calls = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    slow = models.PositiveIntegerField(default=0)
    total_ms = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.dependency_id} {self.slot_at:%H:%M:%S}"


class BreakerProbe(models.Model):
    """A permit to probe a half-open dependency. It expires, so a dead prober's permit comes back."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    dependency = models.ForeignKey(Dependency, on_delete=models.CASCADE, related_name="+")
    holder = models.CharField(max_length=200)
    expires_at = models.DateTimeField()
    succeeded = models.BooleanField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.dependency_id} {self.holder}"


class CallSlot(models.Model):
    """One of the calls to a dependency that may be out at once. A lease that ran out counts as free."""

    dependency = models.ForeignKey(Dependency, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveIntegerField()
    lease = models.UUIDField(null=True, unique=True)
    holder = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["dependency", "number"], name="slot_once")]

    def __str__(self) -> str:
        return f"{self.dependency_id} #{self.number}"


class CallRate(models.Model):
    """When the next call to a dependency would be due if all came evenly (see ``dependencies.limits``)."""

    dependency = models.OneToOneField(Dependency, on_delete=models.CASCADE, primary_key=True, related_name="+")
    next_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.dependency_id} {self.next_at}"


class BreakerEvent(models.Model):
    """A breaker changed its state, and why."""

    dependency = models.ForeignKey(Dependency, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    old = models.CharField(max_length=14)
    new = models.CharField(max_length=14)
    reason = models.TextField()
    actor_label = models.CharField(max_length=200)

    class Meta:
        default_permissions = ()
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.dependency_id} {self.old} -> {self.new}"
