"""Which commands a run takes now, and what each still lacks: the same conditions that the services check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.definition import registry
from workflows.engine import plan
from workflows.engine.plan import Checkpoint
from workflows.engine.state import RunStatus, StepStatus, may_become
from workflows.models import Run, StepRun
from workflows.queries.approvals import open_request, why_not_answered_by
from workflows.services.items import steps_lacking_items
from workflows.services.repair import RESUMABLE, STANDING
from workflows.services.rollback import why_not_rolled_back

_S = StepStatus


@dataclass(frozen=True, slots=True)
class AvailableCommand:
    """A command on a run. ``allowed``: the actor has the right; ``unmet``: what the run's state lacks for it."""

    name: str
    label: str
    permission: Permission
    allowed: bool
    met: list[str]
    unmet: list[str]

    @property
    def is_possible(self) -> bool:
        """Whether it can be done now, by this actor."""
        return self.allowed and not self.unmet


def available_commands(actor: Actor, run: Run, steps: Iterable[StepRun]) -> list[AvailableCommand]:
    """Return every command there is for a run, in the order of the page's buttons."""
    rows = {row.step: row for row in steps}
    answer = _answer(actor, run)
    return [
        _command(actor, run, "approve", "Approve", Permission.APPROVE_STEP, answer),
        _command(actor, run, "reject", "Reject", Permission.APPROVE_STEP, answer),
        _command(actor, run, "resume", "Resume", Permission.RESUME_RUN, _resume(run, rows)),
        _command(actor, run, "decide", "Decide", Permission.DECIDE_STEP, _decide(rows)),
        _command(actor, run, "retry", "Retry from a step", Permission.RETRY_STEP, _retry(run, rows)),
        _command(actor, run, "skip", "Skip a step", Permission.SKIP_STEP, _skip(run, rows)),
        _command(actor, run, "pause", "Pause", Permission.PAUSE_RUN, _stop(run, RunStatus.PAUSED)),
        _command(actor, run, "cancel", "Cancel", Permission.CANCEL_RUN, _stop(run, RunStatus.CANCELLED)),
        _command(actor, run, "rollback", "Roll back", Permission.ROLL_BACK_RUN, _roll_back(run, rows)),
    ]


Conditions = list[tuple[bool, str, str]]  # (holds, words if it does, words if it does not)


def _command(
    actor: Actor, run: Run, name: str, label: str, permission: Permission, conditions: Conditions
) -> AvailableCommand:
    return AvailableCommand(
        name=name,
        label=label,
        permission=permission,
        allowed=may(actor, permission, run),
        met=[yes for holds, yes, _ in conditions if holds],
        unmet=[no for holds, _, no in conditions if not holds],
    )


def _words(run: Run) -> str:
    return run.status.replace("_", " ")


def _no_worker(run: Run) -> tuple[bool, str, str]:
    return (not run.lease_owner, "No worker is at it", "A worker is at it right now")


def _resume(run: Run, rows: dict[str, StepRun]) -> Conditions:
    stands = run.status in RESUMABLE or run.status == RunStatus.ROLLBACK_FAILED
    stands = stands or bool(steps_lacking_items(run, rows.values()))
    undecided = next((name for name, row in rows.items() if row.status == _S.UNCERTAIN), "")
    return [
        (stands, f"The run is {_words(run)}", f"The run is {_words(run)}: there is nothing to resume"),
        _no_worker(run),
        (not undecided, "No step is uncertain", f'First decide whether "{undecided}" happened'),
    ]


def _answer(actor: Actor, run: Run) -> Conditions:
    request = open_request(run)
    if request is None:
        return [(False, "", "The run asks nothing now")]
    problem = why_not_answered_by(actor, run, request)
    return [(True, "It waits for an answer", ""), (not problem, "You may answer", problem)]


def _decide(rows: dict[str, StepRun]) -> Conditions:
    undecided = next((name for name, row in rows.items() if row.status == _S.UNCERTAIN), "")
    return [(bool(undecided), f'"{undecided}" is uncertain', "No step is uncertain")]


def _retry(run: Run, rows: dict[str, StepRun]) -> Conditions:
    possible = may_become(RunStatus(run.status), RunStatus.QUEUED) and run.status != RunStatus.RUNNING
    return [
        (possible, f"The run is {_words(run)}", f"The run is {_words(run)}"),
        _no_worker(run),
        (bool(rows), "At least one step was reached", "No step was reached yet"),
    ]


def _skip(run: Run, rows: dict[str, StepRun]) -> Conditions:
    definition = registry.find(run.workflow.slug, run.version)
    done = {name: Checkpoint(status=StepStatus(row.status)) for name, row in rows.items()}
    following = plan.next_step(definition.plan.order, done) if definition else None
    name = following.name if following else ""
    return [
        (run.status in STANDING, f"The run is {_words(run)}", f"The run is {_words(run)}, not standing still"),
        _no_worker(run),
        (bool(name), f'It stands at "{name}"', "No step is left to skip"),
    ]


def _stop(run: Run, status: RunStatus) -> Conditions:
    possible = may_become(RunStatus(run.status), status) and run.status != RunStatus.ROLLING_BACK
    asked = bool(run.request)
    return [
        (possible, f"The run is {_words(run)}", f"The run is {_words(run)}"),
        (not asked, "Nothing else was asked of it", f"It was asked to {run.request} already"),
    ]


def _roll_back(run: Run, rows: dict[str, StepRun]) -> Conditions:
    problem = why_not_rolled_back(run, rows)
    return [(not problem, "The run stands still, and at least one step was done", problem.rstrip("."))]
