"""Which commands a run takes now, and what each still lacks: the same conditions that the services check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
from workflows.services.items import steps_lacking_items, why_not_taken_up
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
    return [_command(actor, run, rows, name) for name in _COMMANDS]


def available_command(actor: Actor, run: Run, steps: Iterable[StepRun], name: str) -> AvailableCommand:
    """Return one command by its name, without asking after the others: for many runs at once."""
    return _command(actor, run, {row.step: row for row in steps}, name)


Conditions = list[tuple[bool, str, str]]  # (holds, words if it does, words if it does not)
Rows = dict[str, StepRun]


def _command(actor: Actor, run: Run, rows: Rows, name: str) -> AvailableCommand:
    label, permission, conditions_of = _COMMANDS[name]
    conditions = conditions_of(actor, run, rows)
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


def _resume(actor: Actor, run: Run, rows: Rows) -> Conditions:
    stands = run.status in RESUMABLE or run.status == RunStatus.ROLLBACK_FAILED
    lacking = steps_lacking_items(run, rows.values())
    definition = registry.find(run.workflow.slug, run.version) if lacking else None
    problem = why_not_taken_up(definition, lacking, rows) if definition else ""
    undecided = next((name for name, row in rows.items() if row.status == _S.UNCERTAIN), "")
    return [
        (
            stands or bool(lacking),
            f"The run is {_words(run)}",
            f"The run is {_words(run)}: there is nothing to resume",
        ),
        *([(not problem, "What follows can be done again", problem)] if lacking else []),
        _no_worker(run),
        (not undecided, "No step is uncertain", f'First decide whether "{undecided}" happened'),
    ]


def _answer(actor: Actor, run: Run, rows: Rows) -> Conditions:
    request = open_request(run)
    if request is None:
        return [(False, "", "The run asks nothing now")]
    problem = why_not_answered_by(actor, run, request)
    return [(True, "It waits for an answer", ""), (not problem, "You may answer", problem)]


def _decide(actor: Actor, run: Run, rows: Rows) -> Conditions:
    undecided = next((name for name, row in rows.items() if row.status == _S.UNCERTAIN), "")
    return [(bool(undecided), f'"{undecided}" is uncertain', "No step is uncertain")]


def _retry(actor: Actor, run: Run, rows: Rows) -> Conditions:
    possible = may_become(RunStatus(run.status), RunStatus.QUEUED) and run.status != RunStatus.RUNNING
    return [
        (possible, f"The run is {_words(run)}", f"The run is {_words(run)}"),
        _no_worker(run),
        (bool(rows), "At least one step was reached", "No step was reached yet"),
    ]


def _skip(actor: Actor, run: Run, rows: Rows) -> Conditions:
    definition = registry.find(run.workflow.slug, run.version)
    done = {name: Checkpoint(status=StepStatus(row.status)) for name, row in rows.items()}
    following = plan.next_step(definition.plan.order, done) if definition else None
    name = following.name if following else ""
    return [
        (run.status in STANDING, f"The run is {_words(run)}", f"The run is {_words(run)}, not standing still"),
        _no_worker(run),
        (bool(name), f'It stands at "{name}"', "No step is left to skip"),
    ]


def _pause(actor: Actor, run: Run, rows: Rows) -> Conditions:
    return _stop(run, RunStatus.PAUSED)


def _cancel(actor: Actor, run: Run, rows: Rows) -> Conditions:
    return _stop(run, RunStatus.CANCELLED)


def _stop(run: Run, status: RunStatus) -> Conditions:
    possible = may_become(RunStatus(run.status), status) and run.status != RunStatus.ROLLING_BACK
    asked = bool(run.request)
    return [
        (possible, f"The run is {_words(run)}", f"The run is {_words(run)}"),
        (not asked, "Nothing else was asked of it", f"It was asked to {run.request} already"),
    ]


def _roll_back(actor: Actor, run: Run, rows: Rows) -> Conditions:
    problem = why_not_rolled_back(run, rows)
    return [(not problem, "The run stands still, and at least one step was done", problem.rstrip("."))]


_COMMANDS: dict[str, tuple[str, Permission, Callable[[Actor, Run, Rows], Conditions]]] = {
    "approve": ("Approve", Permission.APPROVE_STEP, _answer),
    "reject": ("Reject", Permission.APPROVE_STEP, _answer),
    "resume": ("Resume", Permission.RESUME_RUN, _resume),
    "decide": ("Decide", Permission.DECIDE_STEP, _decide),
    "retry": ("Retry from a step", Permission.RETRY_STEP, _retry),
    "skip": ("Skip a step", Permission.SKIP_STEP, _skip),
    "pause": ("Pause", Permission.PAUSE_RUN, _pause),
    "cancel": ("Cancel", Permission.CANCEL_RUN, _cancel),
    "rollback": ("Roll back", Permission.ROLL_BACK_RUN, _roll_back),
}
