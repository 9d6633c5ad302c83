"""What needs a person, ranked: each cause once, with its age, what is at stake and where to act on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import log10
from typing import Any
from zlib import crc32

from django.urls import reverse
from django.utils.http import urlencode

from diagnostics.reconciliation.queries import Difference
from portal.core.durations import duration_words
from workflows.deadletters.queries import Queue
from workflows.engine.state import RunStatus, WaitingReason
from workflows.events.pages.gaps import Gap
from workflows.models import Dependency, InboxMessage, Workflow
from workflows.money import Money, summed
from workflows.presentation import State, StateName
from workflows.queries.catalogue import definition_of, is_blocked, step_title
from workflows.queries.concerns import RECENT, RunGroup
from workflows.queries.fleet import Fleet

_State = Dependency.State
_CUT_OFF = (_State.OPEN, _State.HALF_OPEN, _State.FORCED_OPEN)
_TIER_WEIGHTS = {1: 1.3, 2: 1.0}


@dataclass(frozen=True, slots=True)
class Concern:
    """One cause for a person to act. ``urgency``: 100 is "nothing works", 20 "do not forget"."""

    state: StateName
    urgency: int
    title: str
    cause: str
    since: datetime | None
    action: str
    url: str
    workflows: tuple[Workflow, ...] = ()
    runs: int = 0
    money: tuple[Money, ...] = ()
    probe_at: datetime | None = None
    now: datetime | None = None
    grows: bool = False
    """Whether it becomes more by the hour: then being old makes it no less urgent."""

    @property
    def key(self) -> str:
        """A name for it that lasts while the number of runs changes."""
        return f"{crc32(f'{self.url} {self.cause}'.encode()):08x}"

    @property
    def age(self) -> timedelta | None:
        """For how long it has been so."""
        return self.now - self.since if self.now and self.since else None

    @property
    def icon(self) -> str:
        """The icon of its state."""
        return State(self.state, "").icon

    def rank(self, now: datetime) -> float:
        """Return urgency times impact: the best tier touched, the number of runs; half as much after a day."""
        tier = max((_TIER_WEIGHTS.get(w.tier, 0.8) for w in self.workflows), default=1.0)
        is_old = self.since is not None and now - self.since > RECENT and not self.grows
        return self.urgency * tier * (1 + log10(max(self.runs, 1))) * (0.5 if is_old else 1)


@dataclass(frozen=True, slots=True)
class Scene:
    """All that concerns are made from."""

    groups: Sequence[RunGroup]
    workflows: Mapping[int, Workflow]
    dependencies: Sequence[Dependency]
    fleet: Fleet
    letters: Sequence[Queue] = ()
    gaps: Sequence[Gap] = ()
    checks: Sequence[Difference] = ()

    def touched(self, groups: Iterable[RunGroup]) -> tuple[Workflow, ...]:
        """Return the workflows of ``groups``, each once."""
        keys = dict.fromkeys(g.workflow_id for g in groups)
        return tuple(self.workflows[key] for key in keys if key in self.workflows)


def ranked_concerns(scene: Scene) -> list[Concern]:
    """Return the concerns, what comes first at the top. Effects of a known cause are told with the cause."""
    found = [replace(concern, now=scene.fleet.now) for source in _SOURCES for concern in source(scene)]
    return sorted(found, key=lambda concern: -concern.rank(scene.fleet.now))


def runs_url(**query: str | list[str]) -> str:
    """Return the address of the list of runs, filtered."""
    return f"{reverse('run-list')}?{urlencode(query, doseq=True)}"


def money_of(groups: Iterable[RunGroup]) -> tuple[Money, ...]:
    """Return what the runs of ``groups`` are worth, the largest sum first."""
    return summed((group.amount, group.currency) for group in groups)


def some_runs(count: int) -> str:
    """Return "1 run" or "14 runs"."""
    return "1 run" if count == 1 else f"{count} runs"


def _see(count: int) -> str:
    return "See the run" if count == 1 else f"See the {count} runs"


def _blind(scene: Scene) -> Iterator[Concern]:
    missing = scene.fleet.missing
    if not missing:
        return
    held = [g for g in scene.groups if not g.ended_badly]
    who = " and ".join(f"no {kind}" for kind in missing)
    yield Concern(
        state=StateName.BLOCKED,
        urgency=100,
        title=f"{who[0].upper()}{who[1:]} is heard",
        cause="Runs do not move, so what these pages show may be out of date. Nothing is lost: runs go on "
        f"when a {' and a '.join(missing)} {'is' if len(missing) == 1 else 'are'} started.",
        since=scene.fleet.silent_since,
        action="See what is held up" if held else "See the runs",
        url=runs_url(state=["queued", "running", "waiting"]),
        workflows=scene.touched(held),
        runs=_count(held),
        money=money_of(held),
    )


def _cut_off(scene: Scene) -> Iterator[Concern]:
    for dependency in scene.dependencies:
        waiting = [g for g in scene.groups if g.waits_for(dependency.name)]
        is_cut_off = dependency.state in _CUT_OFF
        if not waiting and not is_cut_off:
            continue
        runs = _count(waiting)
        who = f"{some_runs(runs)} {'waits' if runs == 1 else 'wait'} on {dependency.name}"
        yield Concern(
            state=StateName.DEGRADED if waiting else StateName.BLOCKED,
            urgency=75 if waiting else 55,
            title=who if waiting else f"{dependency.name} is cut off; no run waits on it yet",
            cause=_why_cut_off(dependency) if is_cut_off else "The breaker is closed again; the runs go on shortly.",
            # A breaker's state begins anew with each probe; the first run that had to wait knows since when.
            since=min([g.since for g in waiting] + ([dependency.state_since] if is_cut_off else [])),
            action=_see(runs) if waiting else "See the dependency",
            url=runs_url(dependency=dependency.name) if waiting else dependency_url(dependency.name),
            workflows=scene.touched(waiting) or _callers(scene, dependency.name),
            runs=runs,
            money=money_of(waiting),
            probe_at=dependency.probe_at if dependency.state == _State.OPEN else None,
        )


def dependency_url(name: str) -> str:
    """Return the address of a dependency's page."""
    return reverse("dependency-detail", args=[name])


def _why_cut_off(dependency: Dependency) -> str:
    last = (dependency.last_error or {}).get("message", "")
    return ". ".join(part.rstrip(".") for part in (dependency.reason, last) if part) + "."


def _callers(scene: Scene, name: str) -> tuple[Workflow, ...]:
    return tuple(w for w in scene.workflows.values() if name in called_by(w))


def called_by(workflow: Workflow) -> set[str]:
    """Return the names of the dependencies that a workflow (of ``visible_workflows``) calls."""
    return {dependency["name"] for dependency in definition_of(workflow)["dependencies"]}


def _undecided(scene: Scene) -> Iterator[Concern]:
    for groups in _gathered(scene, lambda g: (g.workflow_id, g.step), lambda g: g.is_undecided):
        runs, step = _count(groups), groups[0].step
        yield _of_runs(
            scene,
            groups,
            state=StateName.FAILED,
            urgency=90,
            title=f"{some_runs(runs)}: nobody knows whether “{_step_title(scene, groups)}” happened",
            cause="A worker was lost in the middle of a call that must not be repeated. Look at the other side, "
            "then say in the run whether it happened.",
            action=f"Decide {some_runs(runs)}",
            url=runs_url(view="person", workflow=_slug(scene, groups), step=step),
        )


def _failed(scene: Scene) -> Iterator[Concern]:
    def key(g: RunGroup) -> Hashable:
        return (g.workflow_id, g.step, g.status, g.error_type, g.fingerprint)

    for groups in _gathered(scene, key, lambda g: g.ended_badly and not g.is_undecided):
        first, runs, title = groups[0], _count(groups), _step_title(scene, groups)
        is_rollback = first.status == RunStatus.ROLLBACK_FAILED
        yield _of_runs(
            scene,
            groups,
            state=StateName.FAILED,
            urgency=85 if is_rollback else 70,
            title=f"{some_runs(runs)} could not be undone at “{title}”"
            if is_rollback
            else f"{some_runs(runs)} failed at “{title}”",
            cause=": ".join(part for part in (first.error_type, first.message) if part),
            action=_see(runs),
            url=runs_url(state=first.status.value, workflow=_slug(scene, groups), step=first.step),
        )


def _dead_letters(scene: Scene) -> Iterator[Concern]:
    by_slug = {workflow.slug: workflow for workflow in scene.workflows.values()}
    for queue in scene.letters:
        grows = queue.in_an_hour > 0
        count = "1 dead letter" if queue.depth == 1 else f"{queue.depth} dead letters"
        growth = f", {queue.in_an_hour} more than an hour ago" if grows else ""
        workflow = by_slug.get(queue.consumer.partition(".")[0])
        yield Concern(
            state=StateName.FAILED if grows else StateName.DEGRADED,
            urgency=72 if grows else 45,
            title=f"{count} of {queue.title}{growth}",
            cause=queue.main_cause,
            since=queue.oldest_at,
            action="See the dead letter" if queue.depth == 1 else f"See the {count}",
            url=f"{reverse('dead-letter-list')}?{urlencode({'consumer': queue.consumer})}",
            workflows=(workflow,) if workflow else (),
            runs=queue.depth,
            money=queue.money,
            grows=grows,
        )


def _missed(scene: Scene) -> Iterator[Concern]:
    if not scene.fleet.can_see:
        return
    by_slug = {workflow.slug: workflow for workflow in scene.workflows.values()}
    for gap in scene.gaps:
        events = "1 event" if gap.missing == 1 else f"{gap.missing} events"
        waits = gap.kind == InboxMessage.Kind.WAIT
        yield Concern(
            state=StateName.DEGRADED,
            urgency=68,
            title=f"{events} “{gap.event}” never reached {gap.title}",
            cause="No run has waited for them." if waits else "No worker has acted on them in their time.",
            since=gap.oldest_due_at,
            action="See the event" if gap.missing == 1 else f"See the {events}",
            url=f"{reverse('completeness')}?{urlencode({'event': gap.event, 'consumer': gap.consumer})}",
            workflows=(by_slug[gap.workflow],) if gap.workflow in by_slug else (),
            runs=gap.missing,
            money=gap.money,
        )


def _differing(scene: Scene) -> Iterator[Concern]:
    for found in scene.checks:
        records = "1 record" if found.records == 1 else f"{found.records} records"
        verb = "differs" if found.records == 1 else "differ"
        yield Concern(
            state=StateName.BLOCKED if found.problem else StateName.FAILED,
            urgency=60 if found.problem else 74,
            title=f"{found.check.title}: {'cannot be compared' if found.problem else f'{records} {verb}'}",
            cause=found.problem or f"{found.check.left} and {found.check.right} do not say the same.",
            since=found.since,
            action="See the check" if found.problem else f"See the {records}",
            url=reverse("reconciliation-detail", args=[found.check.name]),
            runs=found.records,
            money=found.at_stake,
        )


def _misconfigured(scene: Scene) -> Iterator[Concern]:
    def waits(g: RunGroup) -> bool:
        return g.reason == WaitingReason.CONFIGURATION

    for groups in _gathered(scene, lambda g: (g.workflow_id, g.waits_on), waits):
        workflow = _workflow(scene, groups)
        yield _of_runs(
            scene,
            groups,
            state=StateName.BLOCKED,
            urgency=60,
            title=f"{some_runs(_count(groups))} of {workflow.title} blocked by configuration",
            cause=f"{groups[0].waits_on}. The runs go on by themselves once it is set.",
            action=_see(_count(groups)),
            url=runs_url(waiting="configuration", workflow=workflow.slug),
        )


def _unattended(scene: Scene) -> Iterator[Concern]:
    if not scene.fleet.can_see:
        return
    for groups in _gathered(scene, lambda g: g.workflow_id, lambda g: bool(g.unattended)):
        workflow, runs = _workflow(scene, groups), sum(g.unattended for g in groups)
        yield _of_runs(
            scene,
            groups,
            runs=runs,
            state=StateName.DEGRADED,
            urgency=65,
            title=f"{some_runs(runs)} of {workflow.title} stuck",
            cause="No worker has touched them for more than a minute, though one should have.",
            action=_see(runs),
            url=runs_url(view="stuck", workflow=workflow.slug),
        )


def _late(scene: Scene) -> Iterator[Concern]:
    def unexplained(g: RunGroup) -> bool:
        explained = is_blocked(g) or g.is_undecided or g.reason == WaitingReason.APPROVAL
        return g.late > g.unattended and not explained and scene.fleet.can_see

    for groups in _gathered(scene, lambda g: g.workflow_id, unexplained):
        workflow, runs = _workflow(scene, groups), sum(g.late - g.unattended for g in groups)
        verb = "is" if runs == 1 else "are"
        yield _of_runs(
            scene,
            groups,
            runs=runs,
            state=StateName.DEGRADED,
            urgency=50,
            title=f"{some_runs(runs)} of {workflow.title} {verb} late",
            cause=f"Promised within {duration_words(workflow.within)} of the start, and not finished.",
            action=_see(runs),
            url=runs_url(view="stuck", workflow=workflow.slug),
        )


def _awaiting_approval(scene: Scene) -> Iterator[Concern]:
    def waits(g: RunGroup) -> bool:
        return g.reason == WaitingReason.APPROVAL and not g.is_undecided

    def is_approval(g: RunGroup) -> bool:  # else a step has failed and asks what it should have given
        return g.waits_on.startswith("approval by ")

    for groups in _gathered(scene, lambda g: (g.workflow_id, is_approval(g)), waits):
        workflow, runs, on = _workflow(scene, groups), _count(groups), groups[0].waits_on
        verb, what = "waits" if runs == 1 else "wait", "an approval" if is_approval(groups[0]) else "a person"
        yield _of_runs(
            scene,
            groups,
            state=StateName.WAITING,
            urgency=40,
            title=f"{some_runs(runs)} of {workflow.title} {verb} for {what}",
            cause=f"It needs an {on}; nothing goes on before." if is_approval(groups[0]) else on,
            action=_see(runs),
            url=runs_url(waiting="approval", workflow=workflow.slug),
        )


def _paused(scene: Scene) -> Iterator[Concern]:
    for workflow in scene.workflows.values():
        if workflow.paused_at is None:
            continue
        mine = (g for g in scene.groups if g.workflow_id == workflow.pk)
        held = [g for g in mine if g.status in (RunStatus.SCHEDULED, RunStatus.QUEUED)]
        runs = _count(held)
        who = str(workflow.paused_by or "somebody")
        yield Concern(
            state=StateName.PAUSED,
            urgency=20,
            title=f"{workflow.title} is paused" + (f"; {some_runs(runs)} held" if runs else ""),
            cause=f"By {who}: {workflow.paused_reason}",
            since=workflow.paused_at,
            action="See the workflow",
            url=reverse("workflow-detail", args=[workflow.slug]),
            workflows=(workflow,),
            runs=runs,
            money=money_of(held),
        )


def _set_aside(scene: Scene) -> Iterator[Concern]:
    def is_paused(g: RunGroup) -> bool:
        return g.status == RunStatus.PAUSED and not g.is_undecided

    for groups in _gathered(scene, lambda g: g.workflow_id, is_paused):
        workflow, runs = _workflow(scene, groups), _count(groups)
        yield _of_runs(
            scene,
            groups,
            state=StateName.PAUSED,
            urgency=15,
            title=f"{some_runs(runs)} of {workflow.title} {'is' if runs == 1 else 'are'} paused by hand",
            cause="Runs that a person paused go on only when a person resumes them.",
            action=_see(runs),
            url=runs_url(state=RunStatus.PAUSED.value, workflow=workflow.slug),
        )


_SOURCES: tuple[Callable[[Scene], Iterator[Concern]], ...] = (
    _blind,
    _cut_off,
    _undecided,
    _failed,
    _dead_letters,
    _missed,
    _differing,
    _misconfigured,
    _unattended,
    _late,
    _awaiting_approval,
    _paused,
    _set_aside,
)


def _gathered(
    scene: Scene, key: Callable[[RunGroup], Hashable], wanted: Callable[[RunGroup], bool]
) -> Iterable[list[RunGroup]]:
    """Return the wanted groups that share a key (they differ in currency or in how they wait)."""
    found: dict[Hashable, list[RunGroup]] = defaultdict(list)
    for group in scene.groups:
        if group.workflow_id in scene.workflows and wanted(group):
            found[key(group)].append(group)
    return found.values()


def _of_runs(scene: Scene, groups: list[RunGroup], *, runs: int | None = None, **words: Any) -> Concern:
    return Concern(
        since=min(g.since for g in groups),
        workflows=scene.touched(groups),
        runs=_count(groups) if runs is None else runs,
        money=money_of(groups),
        **words,
    )


def _count(groups: Iterable[RunGroup]) -> int:
    return sum(group.runs for group in groups)


def _workflow(scene: Scene, groups: Sequence[RunGroup]) -> Workflow:
    return scene.workflows[groups[0].workflow_id]


def _step_title(scene: Scene, groups: Sequence[RunGroup]) -> str:
    return step_title(_workflow(scene, groups), groups[0].step) or "the start"


def _slug(scene: Scene, groups: Sequence[RunGroup]) -> str:
    return _workflow(scene, groups).slug
