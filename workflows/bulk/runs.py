"""Runs in bulk: resume, retry, pause, cancel, roll back. Conditions and services are those of a single run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.errors import InvalidTransition
from portal.core.permissions import Permission
from workflows.bulk.kinds import BulkCommand, BulkKind, Candidate, NotNeeded, Outcome, Verdict
from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.filters import RunFilter, filtered_runs
from workflows.forms import REASONS
from workflows.models import Run, StepRun, WorkflowVersion
from workflows.presentation import run_state, short_id
from workflows.queries.runs import visible_runs
from workflows.services import (
    available_command,
    cancel_run,
    pause_run,
    resume_run,
    retry_from_step,
    roll_back_run,
    rollback_preview_of,
    why_not_retried,
)
from workflows.services.items import steps_lacking_items

Json = Mapping[str, Any]
Rows = Mapping[str, StepRun]
Told = tuple[list[str], list[str], list[str]]
"""What would happen, what of it again, and what could not be taken back."""

_MOVED_ON = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.SUCCEEDED, RunStatus.DEGRADED})
_SHORT_WAITS = frozenset({WaitingReason.RETRY, WaitingReason.LOCK, WaitingReason.CAPACITY, WaitingReason.DEPENDENCY})


@dataclass(frozen=True, slots=True)
class _Subject:
    """A run with the definition of its version, and its checkpoints by step."""

    run: Run
    definition: Json
    rows: Rows

    @property
    def ahead(self) -> list[Json]:
        """The declarations of the step at which it stands and of those behind it."""
        steps: list[Json] = self.definition["steps"]
        at = next((place for place, step in enumerate(steps) if step["name"] == self.run.current_step), 0)
        return steps[at:]


# What a command would do ----------------------------------------------------------------------------------


def _resume(subject: _Subject) -> Told:
    if subject.run.status == RunStatus.ROLLBACK_FAILED:
        return ["Its rollback goes on where it stopped"], [], []
    if lacking := steps_lacking_items(subject.run, subject.rows.values()):
        return _items_again(subject, lacking)
    ahead = subject.ahead
    here, does = ahead[0], [f"Goes on at “{ahead[0]['title']}”"]
    row = subject.rows.get(here["name"])
    repeats = [_repeat(here)] if here["effect"] == "external" and row is not None and row.attempts else []
    final = [f"“{step['title']}” cannot be undone once it is done" for step in ahead if _is_final(step)]
    return does, repeats, final


def _items_again(subject: _Subject, lacking: Sequence[str]) -> Told:
    steps = [step for step in subject.definition["steps"] if step["name"] in lacking]
    does = [f"Does the items of “{step['title']}” that failed, and again what follows from them" for step in steps]
    return does, [], [f"“{step['title']}” cannot be undone once it is done" for step in steps if _is_final(step)]


def _is_final(step: Json) -> bool:
    return step["effect"] == "external" and not step["compensates"]


def _repeat(step: Json) -> str:
    target = step["calls"] or "the other side"
    if step["verifies"]:
        return f"“{step['title']}” was tried: {target} is asked what it knows before it is tried again"
    if step["idempotent"]:
        return f"“{step['title']}” is sent to {target} again, under the same operation key"
    return f"“{step['title']}” is sent to {target} again, and {target} cannot tell the repeat"


def _retry(subject: _Subject) -> Told:
    name = _lacking_step(subject.rows)
    steps: list[Json] = subject.definition["steps"]
    declared = next(step for step in steps if step["name"] == name)
    does = [f"Runs again from “{declared['title']}”"]
    return does, [_repeat(declared)] if declared["effect"] == "external" else [], []


def _lacking_step(rows: Rows) -> str:
    """Return the first step that failed or fell back, "" if none did."""
    lacking = [row for row in rows.values() if row.status in {StepStatus.FAILED, StepStatus.FELL_BACK}]
    return min(lacking, key=lambda row: row.position).step if lacking else ""


def _pause(subject: _Subject) -> Told:
    return ["Stops before its next step, until somebody resumes it"], [], []


def _cancel(subject: _Subject) -> Told:
    return ["Ends where it is; what is done stays done"], [], []


def _roll_back(subject: _Subject) -> Told:
    preview = rollback_preview_of(subject.run, dict(subject.rows))
    does = [f"“{line.title}” is undone" for line in preview.undone] or [
        "Nothing is undone: no step that is done can be"
    ]
    return does, [], [f"“{line.title}” stays: {line.note}" for line in preview.not_undone]


_TELLS: Mapping[str, Callable[[_Subject], Told]] = {
    "resume": _resume,
    "retry": _retry,
    "pause": _pause,
    "cancel": _cancel,
    "rollback": _roll_back,
}


def _candidates(command: str, actor: Actor, ids: Sequence[UUID]) -> Iterator[Candidate]:
    runs = Run.objects.filter(pk__in=ids).select_related("workflow").defer("input", "output").order_by("pk")
    rows: defaultdict[UUID, dict[str, StepRun]] = defaultdict(dict)
    for row in StepRun.objects.filter(run__in=ids):
        rows[row.run_id][row.step] = row
    found = list(runs)
    definitions = _definitions(found)
    for run in found:
        subject = _Subject(run, definitions[run.workflow_id, run.version], rows[run.pk])
        yield _candidate(command, actor, subject)


def _candidate(command: str, actor: Actor, subject: _Subject) -> Candidate:
    run = subject.run
    why_not = _why_not(command, actor, subject)
    does, repeats, final = ([], [], []) if why_not else _TELLS[command](subject)
    return Candidate(
        id=run.pk,
        label=f"{run.workflow.title} {short_id(run.pk)}",
        state=run_state(run).word,
        why_not=why_not,
        does=tuple(does),
        repeats=tuple(repeats),
        irreversible=tuple(final),
        amount=run.amount,
        currency=run.currency,
    )


def _why_not(command: str, actor: Actor, subject: _Subject) -> str:
    asked = available_command(actor, subject.run, subject.rows.values(), command)
    if not asked.allowed or not may(actor, Permission.START_BULK_OPERATION, subject.run):
        return f"You lack the right to do this with runs of {subject.run.workflow.title}"
    if command == "retry" and not asked.unmet:
        return _why_not_retried(subject)
    return "; ".join(asked.unmet)


def _why_not_retried(subject: _Subject) -> str:
    name = _lacking_step(subject.rows)
    if not name or subject.run.status not in {RunStatus.FAILED, RunStatus.DEGRADED}:
        return f"The run is {run_state(subject.run).word.lower()}: no step of it is left without success"
    return why_not_retried(subject.run, dict(subject.rows), name).rstrip(".")


def _definitions(runs: Iterable[Run]) -> dict[tuple[int, int], Json]:
    wanted = {(run.workflow_id, run.version) for run in runs}
    versions = WorkflowVersion.objects.filter(
        workflow__in={workflow for workflow, _ in wanted}, number__in={number for _, number in wanted}
    )
    return {(version.workflow_id, version.number): version.definition for version in versions}


# What became of it ----------------------------------------------------------------------------------------


def _settled(judge: Callable[[Run, str], Verdict], ids: Sequence[UUID]) -> dict[UUID, Verdict]:
    uncertain = dict(StepRun.objects.filter(run__in=ids, status=StepStatus.UNCERTAIN).values_list("run_id", "step"))
    runs = Run.objects.filter(pk__in=ids).defer("input", "output")
    return {run.pk: judge(run, uncertain.get(run.pk, "")) for run in runs}


def _after_resume(run: Run, uncertain: str) -> Verdict:
    if uncertain:
        return Verdict(Outcome.BAD, f"It is uncertain whether {_step(uncertain)} happened")
    match RunStatus(run.status):
        case RunStatus.SUCCEEDED | RunStatus.DEGRADED | RunStatus.ROLLED_BACK:
            return Verdict(Outcome.GOOD, run_state(run).word)
        case RunStatus.FAILED | RunStatus.ROLLBACK_FAILED:
            again = f"Failed again at {_step(run.current_step)}" if run.current_step else "Failed again"
            return Verdict(Outcome.BAD, f"{again}: {(run.error or {}).get('message', 'no reason was recorded')}")
        case RunStatus.PAUSED | RunStatus.CANCELLED:
            return Verdict(Outcome.BAD, f"{run_state(run).word} by somebody meanwhile")
        case RunStatus.WAITING if run.waiting_reason == WaitingReason.CONFIGURATION:
            return Verdict(Outcome.BAD, f"Waits for configuration: {run.waiting_on}")
        case RunStatus.WAITING if run.waiting_reason not in _SHORT_WAITS:
            return Verdict(Outcome.GOOD, f"Went on; waits for {run.waiting_on or run.waiting_reason}")
        case _:
            return Verdict(Outcome.OPEN, run_state(run).word)


def _after_retry(run: Run, uncertain: str) -> Verdict:
    if run.status == RunStatus.DEGRADED:
        return Verdict(Outcome.BAD, "Degraded again")
    return _after_resume(run, uncertain)


def _after_stop(run: Run, uncertain: str) -> Verdict:
    """Pausing and cancelling have worked when the run does nothing more, for whatever reason."""
    stands = run.is_final or run.status == RunStatus.PAUSED
    return Verdict(Outcome.GOOD if stands else Outcome.OPEN, run_state(run).word)


def _after_rollback(run: Run, uncertain: str) -> Verdict:
    if run.status == RunStatus.ROLLBACK_FAILED:
        why = (run.error or {}).get("message", "no reason was recorded")
        return Verdict(Outcome.BAD, f"{_step(run.current_step).capitalize()} could not be undone: {why}")
    good = run.status != RunStatus.ROLLING_BACK
    return Verdict(Outcome.GOOD if good else Outcome.OPEN, run_state(run).word)


def _step(name: str) -> str:
    return name.replace("_", " ")


# Doing it -------------------------------------------------------------------------------------------------


def _apply(service: Callable[..., Run], needless: frozenset[RunStatus], actor: Actor, id: UUID, reason: str) -> None:
    try:
        service(actor=actor, run_id=id, reason=reason)
    except InvalidTransition as exc:
        run = Run.objects.get(pk=id)
        if run.status in needless and not run.request:
            raise NotNeeded(f"{run_state(run).word} by itself meanwhile") from exc
        raise


def _retry_run(*, actor: Actor, run_id: UUID, reason: str) -> Run:
    """Run again what failed or fell back, with what follows from it."""
    step = _lacking_step({row.step: row for row in StepRun.objects.filter(run=run_id)})
    if not step:
        raise InvalidTransition("No step of this run is left without success.")
    return retry_from_step(actor=actor, run_id=run_id, step=step, reason=reason)


_FINAL = frozenset({RunStatus.SUCCEEDED, RunStatus.DEGRADED, RunStatus.FAILED, RunStatus.CANCELLED})


def _command(name: str, label: str, service: Callable[..., Run], **fields: Any) -> BulkCommand:
    needless = fields.pop("needless")
    judge = fields.pop("judge")
    return BulkCommand(
        name=name,
        label=label,
        preview=partial(_candidates, name),
        apply=partial(_apply, service, needless),
        settled=partial(_settled, judge),
        reasons=REASONS[name],
        **fields,
    )


def _find(actor: Actor, query: QueryDict) -> QuerySet[Run]:
    return filtered_runs(actor, visible_runs(actor), query)


def _describe(actor: Actor, query: QueryDict) -> list[tuple[str, str]]:
    return RunFilter(query, request=actor).described()


RUNS = BulkKind(
    name="run",
    one="run",
    many="runs",
    view_permission=Permission.VIEW_RUN,
    list_url_name="run-list",
    find=_find,
    describe=_describe,
    url_of=lambda id: reverse("run-detail", args=[id]),
    commands={
        command.name: command
        for command in (
            _command(
                "resume",
                "Resume",
                resume_run,
                done="resumed",
                icon="play",
                permission=Permission.RESUME_RUN,
                needless=_MOVED_ON,
                judge=_after_resume,
                kept=("Steps that are done are not done again.",),
            ),
            _command(
                "retry",
                "Retry",
                _retry_run,
                done="retried",
                icon="rotate-ccw",
                permission=Permission.RETRY_STEP,
                needless=_MOVED_ON - {RunStatus.DEGRADED},
                judge=_after_retry,
                kept=("What these steps gave before is kept as earlier attempts.",),
            ),
            _command(
                "pause",
                "Pause",
                pause_run,
                done="paused",
                icon="pause",
                permission=Permission.PAUSE_RUN,
                needless=_FINAL | {RunStatus.PAUSED},
                judge=_after_stop,
                kept=("A call that is out is not interrupted.", "What is done stays done."),
            ),
            _command(
                "cancel",
                "Cancel",
                cancel_run,
                done="cancelled",
                icon="circle-stop",
                permission=Permission.CANCEL_RUN,
                needless=_FINAL,
                judge=_after_stop,
                is_danger=True,
                kept=("What is done stays done. To undo it, roll the runs back.",),
            ),
            _command(
                "rollback",
                "Roll back",
                roll_back_run,
                done="rolled back",
                icon="undo-2",
                permission=Permission.ROLL_BACK_RUN,
                needless=frozenset({RunStatus.ROLLED_BACK}),
                judge=_after_rollback,
                is_danger=True,
            ),
        )
    },
)
