"""Runs that are not finished or ended badly, and tries that failed: grouped, so that causes show and not rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Case, Count, Exists, Expression, F, Func, Max, Min, OuterRef, Q, Sum, TextField, When
from django.db.models import Value as V
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Substr

from portal.core import clock
from workflows.engine.state import FINAL_RUN_STATUSES, RunStatus, StepStatus, WaitingReason
from workflows.filters import late, unattended
from workflows.models import Attempt, Run, StepRun

ENDED_BADLY = (RunStatus.FAILED, RunStatus.ROLLBACK_FAILED)
FAILED_WITHIN = timedelta(days=7)
RECENT = timedelta(days=1)
_OPEN = sorted(set(RunStatus) - FINAL_RUN_STATUSES)
# These reasons name what the run waits on; for the others the words differ from run to run.
_NAMED_REASONS = (WaitingReason.DEPENDENCY, WaitingReason.CONFIGURATION, WaitingReason.EVENT, WaitingReason.APPROVAL)
# Ids, and numbers but those of three digits or fewer (HTTP statuses, counts of tries), differ without a meaning.
_VARYING = r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\m[0-9a-fA-F]{16,}\M|\d{4,}"
_MESSAGE_LENGTH = 300


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Runs that are in the same place for the same reason. ``recent`` counts those that ended within a day."""

    workflow_id: int
    status: RunStatus
    reason: WaitingReason
    waits_on: str
    step: str
    error_type: str
    fingerprint: str
    message: str
    currency: str
    is_undecided: bool
    runs: int
    late: int
    unattended: int
    recent: int
    amount: Decimal | None
    since: datetime

    @property
    def ended_badly(self) -> bool:
        return self.status in ENDED_BADLY

    def waits_for(self, dependency: str) -> bool:
        """Whether the runs wait for this service. A rollback waits without a reason."""
        may_wait = self.reason == WaitingReason.DEPENDENCY or self.status == RunStatus.ROLLING_BACK
        return may_wait and self.waits_on == dependency


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Tries that failed in the same step with the same error."""

    workflow_id: int
    slug: str
    step: str
    error_type: str
    message: str
    tries: int
    runs: int
    first_at: datetime
    last_at: datetime


def run_groups(within: Q) -> list[RunGroup]:
    """Return the runs that are not finished, or ended badly in the last seven days, grouped. One query.

    Uses the index run_by_status: what it reads grows with the backlog and the week's failures, not with history.
    """
    now = clock.now()
    undecided = StepRun.objects.filter(run=OuterRef("pk"), status=StepStatus.UNCERTAIN)
    bad = Q(status__in=ENDED_BADLY)
    groups = (
        Run.objects.filter(within, Q(status__in=_OPEN) | bad & Q(ended_at__gt=now - FAILED_WITHIN))
        .order_by()
        .annotate(
            on=_where(Q(waiting_reason__in=_NAMED_REASONS) | Q(status=RunStatus.ROLLING_BACK), F("waiting_on")),
            error_type=_where(bad, error_text("type")),
            fingerprint=_where(bad, without_varying(error_text("message"))),
            is_undecided=Exists(undecided),
        )
        .values(
            "workflow_id",
            "status",
            "waiting_reason",
            "on",
            "current_step",
            "error_type",
            "fingerprint",
            "currency",
            "is_undecided",
        )
        .annotate(
            runs=Count("pk"),
            late=Count("pk", filter=late(now)),
            unattended=Count("pk", filter=unattended(now)),
            recent=Count("pk", filter=Q(ended_at__gt=now - RECENT)),
            sum=Sum("amount"),
            since=Min(Coalesce("ended_at", "current_step_at", "created_at")),
            message=Max(_where(bad, error_text("message"))),
        )
    )
    return [
        RunGroup(
            workflow_id=row["workflow_id"],
            status=RunStatus(row["status"]),
            reason=WaitingReason(row["waiting_reason"]),
            waits_on=row["on"],
            step=row["current_step"],
            error_type=row["error_type"],
            fingerprint=row["fingerprint"],
            message=row["message"] or "",
            currency=row["currency"],
            is_undecided=row["is_undecided"],
            runs=row["runs"],
            late=row["late"],
            unattended=row["unattended"],
            recent=row["recent"],
            amount=row["sum"],
            since=row["since"],
        )
        for row in groups
    ]


def failure_fingerprints(within: Q, *, limit: int = 5) -> list[Fingerprint]:
    """Return what failed in the last day, the most runs first, whether or not a retry got over it. One query.

    ``within`` filters attempts. They have no index by time: 30 ms for 14 000 of them, which is 100 000 runs.
    """
    failed = (Attempt.Outcome.FAILED, Attempt.Outcome.TIMED_OUT)
    groups = (
        Attempt.objects.filter(within, outcome__in=failed, ended_at__gt=clock.now() - RECENT)
        .order_by()
        .annotate(error_type=error_text("type"), fingerprint=without_varying(error_text("message")))
        .values("run__workflow_id", "run__workflow__slug", "step", "error_type", "fingerprint")
        .annotate(
            tries=Count("pk"),
            runs=Count("run", distinct=True),
            first_at=Min("ended_at"),
            last_at=Max("ended_at"),
            message=Max(error_text("message")),
        )
        .order_by("-runs", "-last_at")[:limit]
    )
    return [
        Fingerprint(
            workflow_id=row["run__workflow_id"],
            slug=row["run__workflow__slug"],
            step=row["step"],
            error_type=row["error_type"],
            message=row["message"],
            tries=row["tries"],
            runs=row["runs"],
            first_at=row["first_at"],
            last_at=row["last_at"],
        )
        for row in groups
    ]


def _where(condition: Q, value: Expression | F) -> Case:
    return Case(When(condition, then=value), default=V(""), output_field=TextField())


def error_text(key: str) -> Expression:
    """Return a part of the column ``error`` as text, shortened; "" where there is none."""
    return Substr(Coalesce(KeyTextTransform(key, "error"), V("")), 1, _MESSAGE_LENGTH)


def without_varying(message: Expression | F) -> Expression:
    """Return a message with "…" for ids and long numbers, so that like messages are equal."""
    return Func(message, V(_VARYING), V("…"), V("g"), function="regexp_replace", output_field=TextField())
