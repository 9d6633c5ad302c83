"""The overview: one verdict, what needs a person, how each workflow is doing, what failed and what changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from diagnostics.reconciliation.queries import differences
from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.permissions import Permission
from portal.web.changes import Change, recent_changes
from portal.web.concerns import Concern, Scene, called_by, ranked_concerns
from workflows.deadletters.queries import queues as dead_letters
from workflows.dependencies.breaker import State as BreakerState
from workflows.dependencies.queries import SHOWN
from workflows.events.pages.gaps import gaps
from workflows.models import Dependency, Workflow
from workflows.presentation import State, StateName
from workflows.queries.activity import last_day
from workflows.queries.catalogue import WorkflowRow, step_title, visible_workflows, workflow_rows
from workflows.queries.concerns import Fingerprint, failure_fingerprints, run_groups
from workflows.queries.fleet import Fleet, fleet
from workflows.schedules.queries import ScheduleView, next_starts


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of everything in one line; ``since`` belongs to its end."""

    state: State
    text: str
    since: datetime | None = None

    @property
    def words(self) -> str:
        """The line without its time, to be announced when it changes."""
        return f"{self.state.word}: {self.text}" if self.text else self.state.word


@dataclass(frozen=True, slots=True)
class Failure:
    """A fingerprint with the titles that people know its step and workflow by."""

    found: Fingerprint
    step: str
    workflow: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows."""

    verdict: Verdict
    concerns: list[Concern]
    rows: list[WorkflowRow]
    dependencies: list[tuple[Dependency, State]]
    failures: list[Failure]
    changes: list[Change]
    next_starts: list[ScheduleView]


def overview(actor: Actor) -> Overview:
    """Return the overview of what ``actor`` may see. Ten queries, and one more when nothing needs anybody."""
    workflows = visible_workflows(actor)
    within = within_reach(actor, Permission.VIEW_RUN)
    groups, alive = run_groups(within), fleet()
    rows = workflow_rows(workflows, groups, last_day(within), {}, alive)
    seen = differences(actor)
    dependencies, by_id = _dependencies(workflows), {w.pk: w for w in workflows}
    concerns = ranked_concerns(Scene(groups, by_id, dependencies, alive, dead_letters(actor), gaps(actor), seen))
    fingerprints = failure_fingerprints(within_reach(actor, Permission.VIEW_RUN, workflow="run__workflow"))
    changes = recent_changes(actor, workflows)
    return Overview(
        verdict=verdict(rows, concerns, alive, _calm_since(fingerprints, changes)),
        concerns=concerns,
        rows=rows,
        dependencies=[(d, SHOWN[BreakerState(d.state)]) for d in dependencies],
        failures=[_failure(found, by_id.get(found.workflow_id)) for found in fingerprints],
        changes=changes,
        next_starts=next_starts(actor, at_most=3) if not concerns else [],
    )


def verdict(rows: list[WorkflowRow], concerns: list[Concern], alive: Fleet, calm_since: datetime | None) -> Verdict:
    """Return the state of the worst, how many share it, and the first concern in words."""
    bad = [row for row in rows if row.state.name in (StateName.FAILED, StateName.DEGRADED)]
    failing = [row for row in bad if row.state.name == StateName.FAILED]
    first = concerns[0] if concerns else None
    lead = f"; {_mid_sentence(first.title)}" if first else ""
    since = first.since if first else None
    if not alive.can_see:
        known = f"; {_of(len(bad), rows)} known to be in trouble" if bad else ""
        return Verdict(
            State(StateName.BLOCKED, "Cannot see"), _mid_sentence(first.title if first else "") + known, since
        )
    if not rows:
        return Verdict(State(StateName.WAITING, "Nothing to watch yet"), "")
    if failing:
        return Verdict(State(StateName.FAILED, "Failing"), _of(len(failing), rows) + lead, since)
    if bad:
        return Verdict(State(StateName.DEGRADED, "Degraded"), _of(len(bad), rows) + lead, since)
    if first:
        return Verdict(State(StateName.OK, "Well"), f"no workflow is in trouble{lead}", since)
    return Verdict(State(StateName.OK, "All clear"), "" if calm_since else "nothing failed for 24 hours", calm_since)


def _failure(found: Fingerprint, workflow: Workflow | None) -> Failure:
    if workflow is None:
        return Failure(found, found.step, found.slug)
    return Failure(found, step_title(workflow, found.step), workflow.title)


def _of(count: int, rows: list[WorkflowRow]) -> str:
    return f"{count} of {len(rows)} {'workflow' if len(rows) == 1 else 'workflows'}"


def _mid_sentence(title: str) -> str:
    """Return a title as the second half of a sentence: "No worker is heard" goes on in lower case."""
    return title[:1].lower() + title[1:] if title.startswith("No ") else title


def _dependencies(workflows: list[Workflow]) -> list[Dependency]:
    names = {name for workflow in workflows for name in called_by(workflow)}
    found = Dependency.objects.filter(name__in=names)
    return sorted(found, key=lambda d: (list(SHOWN).index(BreakerState(d.state)), d.name))


def _calm_since(fingerprints: list[Fingerprint], changes: list[Change]) -> datetime | None:
    """Return when the last trouble that still shows ended; None if there was none for a day."""
    moments = [f.last_at for f in fingerprints] + [c.at for c in changes if c.state == StateName.OK]
    return max(moments, default=None)
