"""A run, its checkpoints, the tries that did not complete a step, and its append-only history."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from portal.core.access import AccessScope
from portal.core.ids import uuid7
from workflows.engine.state import FINAL_RUN_STATUSES, Request, RunStatus, StepStatus, WaitingReason
from workflows.models.definitions import Workflow

_words = str.maketrans("_", " ")


def _choices(states: type[RunStatus | StepStatus | WaitingReason]) -> list[tuple[str, str]]:
    return [(s.value, s.value.translate(_words).capitalize()) for s in states]


class Run(models.Model):
    """One execution of a workflow. The queue is this table: ``dispatched_at`` says since when a run is queued."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()
    status = models.CharField(max_length=16, choices=_choices(RunStatus), default=RunStatus.QUEUED.value)
    waiting_reason = models.CharField(max_length=14, choices=_choices(WaitingReason), default="", blank=True)
    waiting_on = models.CharField(max_length=200, default="", blank=True, help_text="what exactly, in words")
    input = models.JSONField()
    output = models.JSONField(null=True)
    error = models.JSONField(null=True, help_text="the latest error: {type, code, message, context, chain, stack}")
    idempotency_key = models.CharField(max_length=200, null=True)  # noqa: DJ001 - NULL: no key was given
    correlation_id = models.CharField(max_length=128)
    started_by = models.CharField(max_length=200, help_text="label of the actor who started it")
    customer_key = models.CharField(max_length=120, default="", blank=True)
    amount = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, default="", blank=True)
    current_step = models.CharField(max_length=80, default="", blank=True)
    current_step_at = models.DateTimeField(null=True)
    undo_to_step = models.CharField(
        max_length=80,
        default="",
        blank=True,
        help_text="a rollback stops after undoing the step behind this one",
    )
    request = models.CharField(max_length=8, default="", blank=True, choices=[(r.value, r.value) for r in Request])
    lease_owner = models.CharField(max_length=200, default="", blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    fence = models.BigIntegerField(default=0, help_text="fencing token: grows with each claim")
    wake_at = models.DateTimeField(null=True)
    dispatched_at = models.DateTimeField(null=True)
    dispatch_count = models.PositiveIntegerField(default=0)
    event_count = models.PositiveIntegerField(default=0, help_text="number of the last event; also the row's version")
    retry_count = models.PositiveIntegerField(default=0)
    lost_count = models.PositiveIntegerField(
        default=0, help_text="workers lost in a row without a checkpoint between"
    )
    parent = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text="the run whose step started this one",
    )
    parent_step = models.CharField(max_length=80, default="", db_default="", blank=True)
    queue = models.CharField(max_length=80, default="workflows")
    is_demo = models.BooleanField(default=False, help_text="generated history, not really executed")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True, help_text="created_at + the objective's ``within``")

    class Meta:
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "idempotency_key"],
                name="run_idempotency_key_once",
                condition=Q(idempotency_key__isnull=False),
            ),
            models.CheckConstraint(name="run_status_known", condition=Q(status__in=[s.value for s in RunStatus])),
            models.CheckConstraint(
                name="run_waits_for_a_reason", condition=Q(status="waiting") ^ Q(waiting_reason="")
            ),
            models.CheckConstraint(
                name="run_ended_has_end",
                # sorted: a frozenset comes in another order in each process, and would change the migration
                condition=Q(status__in=sorted(s.value for s in FINAL_RUN_STATUSES)) ^ Q(ended_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(fields=["workflow", "-id"], name="run_by_workflow"),
            models.Index(fields=["status", "-id"], name="run_by_status"),
            models.Index(fields=["-ended_at"], name="run_by_end", condition=Q(ended_at__isnull=False)),
            models.Index(fields=["wake_at"], name="run_wakes", condition=Q(wake_at__isnull=False)),
            models.Index(
                fields=["queue", "id"],
                name="run_queued",
                condition=Q(status__in=["queued", "rolling_back"], lease_owner="", wake_at__isnull=True),
            ),
            models.Index(fields=["id"], name="run_held", condition=Q(status__in=["running", "rolling_back"])),
            models.Index(
                fields=["waiting_on", "id"],
                name="run_awaits_capacity",
                condition=Q(status="waiting", waiting_reason="capacity"),
            ),
            models.Index(fields=["customer_key", "-id"], name="run_by_customer", condition=~Q(customer_key="")),
            models.Index(fields=["correlation_id"], name="run_by_correlation"),
            models.Index(fields=["parent", "parent_step"], name="run_by_parent", condition=Q(parent__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def access_scope(self) -> AccessScope:
        """Where grants on this run are looked for: its workflow. Select ``workflow`` along with the run."""
        return self.workflow.access_scope

    @property
    def is_final(self) -> bool:
        """Whether the run does nothing more by itself."""
        return self.status in FINAL_RUN_STATUSES


# The three tables below point to their run without a constraint: they are written by statements that have just
# locked the run's row, and looking it up once more for each would cost a third of a checkpoint.


class StepRun(models.Model):
    """The checkpoint of one step of one run."""

    pk = models.CompositePrimaryKey("run_id", "step")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    step = models.CharField(max_length=80)
    position = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=20, choices=_choices(StepStatus))
    attempts = models.PositiveIntegerField(default=0, help_text="tries that count against the retry limit")
    helper_attempts = models.PositiveIntegerField(
        default=0, help_text="tries of the verification or compensation that is under way"
    )
    generation = models.PositiveIntegerField(default=0, help_text="grows when a compensated step may run afresh")
    output = models.JSONField(null=True)
    error = models.JSONField(null=True)
    worker = models.CharField(max_length=200, default="", blank=True)
    fence = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["position"]
        constraints = [
            models.CheckConstraint(name="step_status_known", condition=Q(status__in=[s.value for s in StepStatus])),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.step}"

    @property
    def operation_key(self) -> str:
        """The key that every attempt of this step sends, so that the other side can tell a repeat."""
        return f"{self.run_id}:{self.step}:{self.generation}"


class Attempt(models.Model):
    """A try that did not become the step's checkpoint: it failed, timed out, was lost, or was superseded."""

    class Kind(models.TextChoices):
        RUN = "run", "Run"
        VERIFY = "verify", "Verify"
        COMPENSATE = "compensate", "Compensate"

    class Outcome(models.TextChoices):
        FAILED = "failed", "Failed"
        TIMED_OUT = "timed_out", "Timed out"
        UNAVAILABLE = "unavailable", "Dependency unavailable"
        LOST = "lost", "Worker lost"
        SUPERSEDED = "superseded", "Superseded by a later run of the step"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    step = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.RUN)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    error = models.JSONField(null=True)
    output = models.JSONField(null=True, help_text="of a superseded success")
    worker = models.CharField(max_length=200, default="", blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField()
    retry_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["id"]
        indexes = [
            models.Index(fields=["run", "step", "id"], name="attempt_of_step"),
            models.Index(fields=["-ended_at"], name="attempt_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {self.step} #{self.number}"


class RunEvent(models.Model):
    """One line of a run's history. Append-only."""

    pk = models.CompositePrimaryKey("run_id", "number")
    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    step = models.CharField(max_length=80, default="", blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.run_id} {self.number} {self.kind}"


class KeptOutput(models.Model):
    """The last good output of a step that falls back on it, by what it depends on."""

    workflow = models.SlugField(max_length=80, db_index=False)
    step = models.CharField(max_length=80)
    key = models.CharField(max_length=64, help_text="SHA-256 of what the output depends on")
    output = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["workflow", "step", "key"], name="kept_output_once")]
        indexes = [models.Index(fields=["workflow", "step", "at"], name="kept_output_age")]

    def __str__(self) -> str:
        return f"{self.workflow}.{self.step} {self.at:%Y-%m-%d %H:%M}"
