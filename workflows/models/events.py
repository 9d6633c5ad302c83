"""Events between workflows: what was emitted, who has to act on it, and what could not be handed over."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal.core.access import AccessScope
from portal.core.ids import uuid7
from workflows.models.definitions import Workflow
from workflows.models.runs import Run


class OutboxMessage(models.Model):
    """An event, written in the transaction of what it tells about. Never changed; ``routed_at`` apart."""

    class Origin(models.TextChoices):
        RUN = "run", "A run"
        API = "api", "Another program"
        PERSON = "person", "A person"
        SYSTEM = "system", "The portal"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False, help_text="the event's id")
    name = models.CharField(max_length=120)
    version = models.PositiveIntegerField()
    key = models.CharField(max_length=200, default="", blank=True, help_text="what the event is about")
    payload = models.JSONField()
    origin = models.CharField(max_length=6, choices=Origin.choices)
    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.PROTECT, related_name="+")
    run = models.ForeignKey(
        Run, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    step = models.CharField(max_length=80, default="", blank=True)
    emitted_by = models.CharField(max_length=200, default="", blank=True, help_text="label of the actor, if no run")
    source_id = models.CharField(max_length=200, null=True)  # noqa: DJ001 - NULL: the sender has no id of its own
    correlation_id = models.CharField(max_length=128)
    customer_key = models.CharField(max_length=120, default="", blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, default="", blank=True)
    emitted_at = models.DateTimeField()
    routed_at = models.DateTimeField(null=True, help_text="when its subscribers' inbox rows were written")
    is_demo = models.BooleanField(default=False, help_text="generated history, not really emitted")

    class Meta:
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "source_id"], name="event_source_id_once", condition=Q(source_id__isnull=False)
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="event_to_route", condition=Q(routed_at__isnull=True)),
            models.Index(fields=["name", "-id"], name="event_by_name"),
            models.Index(fields=["run"], name="event_by_run", condition=Q(run__isnull=False)),
            models.Index(fields=["correlation_id"], name="event_by_correlation"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version} {self.key}".strip()

    @property
    def access_scope(self) -> AccessScope:
        """Where grants on this event are looked for: the workflow that emitted it. Select ``workflow`` along."""
        return self.workflow.access_scope if self.workflow else AccessScope()


class InboxMessage(models.Model):
    """What one subscriber has to do about one event. Handled in one transaction, so the event acts once."""

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        HANDLED = "handled", "Handled"
        DEAD = "dead", "Dead"
        DISCARDED = "discarded", "Discarded"

    class Kind(models.TextChoices):
        START = "start", "Starts a run"
        WAIT = "wait", "Ends a wait"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    consumer = models.CharField(max_length=180, help_text='"workflow", or "workflow.step" of a wait')
    kind = models.CharField(max_length=5, choices=Kind.choices)
    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.PROTECT, related_name="+")
    message = models.ForeignKey(OutboxMessage, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200, default="", blank=True, help_text="the event's, for waits to find it")
    payload = models.JSONField(null=True, help_text="what a person made of the event's payload; NULL: as emitted")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0, help_text="how often a worker took it; also its fencing token")
    next_attempt_at = models.DateTimeField(null=True, help_text="when a worker may take it; NULL: not by itself")
    taken_at = models.DateTimeField(null=True)
    taken_by = models.CharField(max_length=200, default="", blank=True, help_text="the worker that has it in hand")
    due_at = models.DateTimeField(help_text="from then on it is missing in the completeness of its event")
    handled_at = models.DateTimeField(null=True)
    run = models.ForeignKey(
        Run,
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
        db_index=False,
        db_constraint=False,
        help_text="what it started, or the first of the runs that waited for it",
    )
    error = models.JSONField(null=True, help_text="the latest error: {type, code, message, context, chain, stack}")
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["consumer", "message"], name="inbox_event_once"),
            models.CheckConstraint(
                name="inbox_status_known", condition=Q(status__in=["pending", "handled", "dead", "discarded"])
            ),
            models.CheckConstraint(
                name="inbox_handled_has_time", condition=Q(status="handled") ^ Q(handled_at__isnull=True)
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="inbox_to_take",
                condition=Q(status="pending", next_attempt_at__isnull=False),
            ),
            models.Index(fields=["taken_by"], name="inbox_in_hand", condition=Q(status="pending") & ~Q(taken_by="")),
            models.Index(fields=["consumer", "key"], name="inbox_unclaimed", condition=Q(status="pending")),
            models.Index(fields=["due_at"], name="inbox_gaps", condition=Q(status__in=["pending", "dead"])),
            models.Index(fields=["run"], name="inbox_by_run", condition=Q(run__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.consumer} {self.message_id}"

    @property
    def access_scope(self) -> AccessScope:
        """Where grants on this are looked for: the workflow that has to act. Select ``workflow`` along."""
        return self.workflow.access_scope if self.workflow else AccessScope()


class DeadLetter(models.Model):
    """A message that its subscriber could not act on: a person reads it, mends it, replays or discards it."""

    class Reason(models.TextChoices):
        CONTRACT = "contract", "The payload does not fit"
        REJECTED = "rejected", "The subscriber refused it"
        EXHAUSTED = "exhausted", "Its tries are used up"
        UNKNOWN_CONSUMER = "unknown_consumer", "Its subscriber is not in the code"

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        REPLAYED = "replayed", "Replayed"
        DISCARDED = "discarded", "Discarded"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    inbox = models.OneToOneField(InboxMessage, on_delete=models.CASCADE, related_name="+")
    message = models.ForeignKey(OutboxMessage, on_delete=models.CASCADE, related_name="+")
    consumer = models.CharField(max_length=180)
    workflow = models.ForeignKey(Workflow, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=16, choices=Reason.choices)
    error = models.JSONField(help_text="{type, code, message, context, chain, stack}")
    payload = models.JSONField(help_text="as it will be replayed")
    attempts = models.PositiveIntegerField(help_text="before it died, replays included")
    died_at = models.DateTimeField(help_text="the last time")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.OPEN)
    replay_count = models.PositiveIntegerField(default=0)
    last_replayed_at = models.DateTimeField(null=True)
    edits = models.JSONField(default=list, help_text="each {at, by, reason, changes: [{field, before, after}]}")
    discarded_at = models.DateTimeField(null=True)
    discarded_by = models.CharField(max_length=200, default="", blank=True)
    discard_reason = models.TextField(default="", blank=True)
    is_demo = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()
        ordering = ["-died_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="dead_letter_status_known", condition=Q(status__in=["open", "replayed", "discarded"])
            ),
            models.CheckConstraint(
                name="dead_letter_discarded_has_time", condition=Q(status="discarded") ^ Q(discarded_at__isnull=True)
            ),
        ]
        indexes = [
            models.Index(fields=["status", "-died_at"], name="dead_letter_by_status"),
            models.Index(fields=["consumer", "reason"], name="dead_letter_groups", condition=Q(status="open")),
        ]

    def __str__(self) -> str:
        return f"{self.consumer} {self.message_id} {self.reason}"

    @property
    def access_scope(self) -> AccessScope:
        """Where grants on this are looked for: the workflow that has to act. Select ``workflow`` along."""
        return self.workflow.access_scope if self.workflow else AccessScope()


class EventWait(models.Model):
    """A run that stands at a ``wait_for``. Open until it is given an event, or its time is up."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    step = models.CharField(max_length=80)
    generation = models.PositiveIntegerField()
    consumer = models.CharField(max_length=180)
    event = models.CharField(max_length=120)
    key = models.CharField(max_length=200)
    since = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    message = models.ForeignKey(OutboxMessage, null=True, on_delete=models.PROTECT, related_name="+")
    payload = models.JSONField(null=True, help_text="the event as the run takes it")
    closed_at = models.DateTimeField(null=True, help_text="when the event came, or the time was up")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["run", "step", "generation"], name="wait_once"),
            models.CheckConstraint(
                name="wait_event_closes_it", condition=Q(message__isnull=True) | Q(closed_at__isnull=False)
            ),
        ]
        indexes = [models.Index(fields=["consumer", "key"], name="wait_open", condition=Q(closed_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.run_id} {self.step}: {self.event} {self.key}"
