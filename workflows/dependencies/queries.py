"""What the pages show of dependencies: their breakers, their calls, and what depends on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, F, Sum

from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.charts import StripCell
from portal.core.clock import now
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.definition.values import StepKind
from workflows.dependencies.breaker import FORCED_STATES, SLOT_SECONDS, Policy, State, Window
from workflows.dependencies.needs import Call, Need, need_of
from workflows.filters import waiting_for_dependency
from workflows.models import BreakerEvent, CallSlot, CallWindow, Dependency, Run, WorkflowVersion
from workflows.presentation import State as Shown
from workflows.presentation import StateName

STRIP_CELLS = 20
STRIP_CELL_SECONDS = 180
OBSERVED_DAYS = 7
HISTORY = 50

# In the order of the list: the most troubled first.
SHOWN = {
    State.OPEN: Shown(StateName.FAILED, "Open"),
    State.HALF_OPEN: Shown(StateName.DEGRADED, "Half-open"),
    State.FORCED_OPEN: Shown(StateName.PAUSED, "Held open"),
    State.FORCED_CLOSED: Shown(StateName.DEGRADED, "Held closed"),
    State.CLOSED: Shown(StateName.OK, "Closed"),
}


_Version = tuple[str, str, float, Any]  # slug, title, promised share of successes, steps


@dataclass(frozen=True, slots=True)
class Caller:
    """A workflow and the titles of its steps that call a dependency."""

    slug: str
    title: str
    steps: tuple[str, ...]


@dataclass(slots=True)
class _Recent:
    """The latest calls of one dependency."""

    window: Window = field(default_factory=Window)
    hour: list[Window] = field(default_factory=lambda: [Window()] * STRIP_CELLS)


@dataclass(frozen=True, slots=True)
class DependencyView:
    """A dependency as its row on the page shows it."""

    row: Dependency
    policy: Policy
    window: Window
    hour: tuple[Window, ...]
    callers: tuple[Caller, ...]
    waiting: int

    @property
    def state(self) -> Shown:
        """The breaker's state in the vocabulary of the pages."""
        return SHOWN[State(self.row.state)]

    @property
    def is_forced(self) -> bool:
        """Whether a person holds the breaker."""
        return self.row.state in FORCED_STATES

    @property
    def changes_at(self) -> datetime | None:
        """When the state ends by itself: the next probe, or the end of a forced state."""
        return self.row.forced_until if self.is_forced else self.row.probe_at

    @property
    def is_overdue(self) -> bool:
        """Whether the state ends with the next call."""
        return self.changes_at is not None and self.changes_at <= now()

    @property
    def sentence(self) -> str:
        """What the breaker does at present, for people who do not know the word."""
        return {
            State.CLOSED: "Calls go out.",
            State.OPEN: "No calls go out; runs that need it wait.",
            State.HALF_OPEN: f"Up to {self.policy.probes} calls at a time probe whether it is well again.",
            State.FORCED_OPEN: "A person stopped all calls; runs that need it wait.",
            State.FORCED_CLOSED: "A person lets all calls out, however many fail.",
        }[State(self.row.state)]

    @property
    def hour_cells(self) -> list[StripCell]:
        """The last hour as a strip, oldest first."""
        return [self._cell(place, window) for place, window in enumerate(self.hour)]

    @property
    def hour_words(self) -> str:
        """The last hour in one sentence."""
        calls = sum(w.calls for w in self.hour)
        if not calls:
            return "No calls in the last hour"
        return f"{sum(w.failures for w in self.hour)} of {calls} calls failed in the last hour"

    def _cell(self, place: int, window: Window) -> StripCell:
        ago = (len(self.hour) - place) * STRIP_CELL_SECONDS // 60
        if not window.calls:
            return StripCell("none", f"{ago} min ago: no calls")
        limit_reached = window.failure_rate >= self.policy.failure_rate
        state = "failed" if limit_reached else "degraded" if window.failures else "ok"
        return StripCell(state, f"{ago} min ago: {window.failures} of {window.calls} calls failed")


@dataclass(frozen=True, slots=True)
class Observed:
    """What the calls of the last days say about what is promised."""

    calls: int
    availability: float | None
    mean_seconds: float | None
    slow: float | None


@dataclass(frozen=True, slots=True)
class NeedView:
    """What a workflow needs of a dependency, and whether it gets it."""

    slug: str
    title: str
    steps: str
    need: Need
    promised: float
    observed: float | None

    @property
    def state(self) -> Shown:
        """The verdict: by the promise first, then by what was observed."""
        needed = self.need.of_each_call
        if needed is None or self.promised < needed:
            return Shown(StateName.FAILED, "Cannot be kept")
        if self.observed is not None and self.observed < needed:
            return Shown(StateName.DEGRADED, "Promised, not given")
        return Shown(StateName.OK, "Enough")


@dataclass(frozen=True, slots=True)
class Change:
    """A line of a breaker's history."""

    at: datetime
    state: Shown
    reason: str
    actor_label: str


@dataclass(frozen=True, slots=True)
class DependencyDetail:
    """A dependency's page."""

    view: DependencyView
    observed: Observed
    history: tuple[Change, ...]
    needs: tuple[NeedView, ...]
    calls_out: int | None

    @property
    def broken_promises(self) -> list[NeedView]:
        """The workflows whose own promise cannot be kept with what this dependency promises."""
        return [need for need in self.needs if need.state.name == StateName.FAILED]


def dependency_list(actor: Actor) -> list[DependencyView]:
    """Return all dependencies, the most troubled first."""
    order = list(SHOWN)
    rows = sorted(Dependency.objects.all(), key=lambda row: (order.index(State(row.state)), row.name))
    return _views(actor, rows, _latest_versions(actor))


def dependency_detail(actor: Actor, name: str) -> DependencyDetail:
    """Return one dependency with its history.

    :raises NotFound: if there is none of that name.
    """
    row = access_dependency(name)
    events = BreakerEvent.objects.filter(dependency=row)[:HISTORY]
    history = tuple(Change(e.at, SHOWN[State(e.new)], e.reason, e.actor_label) for e in events)
    observed, versions = _observed(row), _latest_versions(actor)
    view = _views(actor, [row], versions)[0]
    out = None
    if view.policy.max_concurrency is not None:
        out = CallSlot.objects.filter(dependency=row, expires_at__gt=now()).count()
    return DependencyDetail(view, observed, history, tuple(_needs(versions, row, observed)), out)


def access_dependency(name: str) -> Dependency:
    """Return the dependency; every insider may see all of them.

    :raises NotFound: if there is none of that name.
    """
    row = Dependency.objects.filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no dependency {name}.")
    return row


def waiting_runs(actor: Actor, name: str) -> int:
    """Return how many runs that the actor may see wait on the dependency."""
    return _waiting(actor, [name])[name]


def _views(actor: Actor, rows: Sequence[Dependency], versions: Sequence[_Version]) -> list[DependencyView]:
    recent = _recent_calls([row.pk for row in rows])
    callers = _callers(versions)
    waiting = _waiting(actor, [row.name for row in rows])
    return [
        DependencyView(
            row=row,
            policy=Policy.of(row.settings),
            window=recent[row.pk].window,
            hour=tuple(recent[row.pk].hour),
            callers=tuple(callers.get(row.name, ())),
            waiting=waiting[row.name],
        )
        for row in rows
    ]


def _recent_calls(ids: Sequence[int]) -> dict[int, _Recent]:
    """Return the latest calls of each dependency, in one query.

    ``window`` holds those that the breaker is judged by (as ``store.read_window`` does), ``hour`` all of the last
    hour in cells numbered from the oldest.
    """
    recent = {id_: _Recent() for id_ in ids}
    rows = _rows(
        """
        SELECT d.id, floor(extract(epoch FROM now() - w.slot_at) / %s)::int AS ago,
               sum(calls), sum(failures), sum(slow),
               COALESCE(sum(calls) FILTER (WHERE judged.yes), 0),
               COALESCE(sum(failures) FILTER (WHERE judged.yes), 0),
               COALESCE(sum(slow) FILTER (WHERE judged.yes), 0)
        FROM workflows_dependency d JOIN workflows_callwindow w ON w.dependency_id = d.id,
             LATERAL (SELECT w.slot_at > d.state_since - make_interval(secs => %s) AND w.slot_at > now()
                 - make_interval(secs => COALESCE((d.settings->>'window_seconds')::float, %s)) AS yes) judged
        WHERE d.id = ANY(%s) AND w.slot_at > now() - make_interval(secs => %s)
        GROUP BY 1, 2
        """,
        [STRIP_CELL_SECONDS, SLOT_SECONDS, Policy().window_seconds, ids, STRIP_CELLS * STRIP_CELL_SECONDS],
    )
    for id_, ago, calls, failures, slow, *judged in rows:
        found = recent[id_]
        found.hour[STRIP_CELLS - 1 - max(0, ago)] += Window(calls, failures, slow)
        found.window += Window(*judged)
    return recent


def _rows(sql: str, values: Iterable[object]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(values))  # type: ignore[arg-type]
        return list(cursor.fetchall())


def _latest_versions(actor: Actor) -> list[_Version]:
    """Return the latest versions of the workflows that the actor may see."""
    versions = WorkflowVersion.objects.filter(
        within_reach(actor, Permission.VIEW_WORKFLOW),
        number=F("workflow__latest_version"),
        workflow__retired_at=None,
    ).order_by("workflow__title")
    columns = ("workflow__slug", "workflow__title", "workflow__success_target", "definition__steps")
    return list(versions.values_list(*columns))


def _needs(versions: Sequence[_Version], row: Dependency, observed: Observed) -> Iterator[NeedView]:
    """Yield what each workflow that must have the dependency needs of it."""
    declared = Dependency.objects.values_list("name", "settings")
    promised = {name: Policy.of(settings).availability for name, settings in declared}
    for slug, title, objective, steps in versions:
        required = [step for step in steps if _is_required_call(step)]
        calls = [Call(step["calls"], (step["retry"] or {"attempts": 1})["attempts"]) for step in required]
        need = need_of(row.name, calls, promised, objective)
        if need:
            titles = ", ".join(step["title"] for step in required if step["calls"] == row.name)
            yield NeedView(slug, title, titles, need, promised[row.name], observed.availability)


def _is_required_call(step: Mapping[str, Any]) -> bool:
    """Tell whether a run needs the one call of this step to end well; with ``each`` there are many."""
    return bool(step["calls"] and not (step["optional"] or step["fallback"] or step.get("kind") == StepKind.EACH))


def _callers(versions: Sequence[_Version]) -> Mapping[str, list[Caller]]:
    """Return, by dependency, the workflows that call it."""
    callers: defaultdict[str, list[Caller]] = defaultdict(list)
    for slug, title, _, steps in versions:
        called: defaultdict[str, list[str]] = defaultdict(list)
        for step in steps:
            if step["calls"]:
                called[step["calls"]].append(step["title"])
        for name, titles in called.items():
            callers[name].append(Caller(slug, title, tuple(titles)))
    return callers


def _waiting(actor: Actor, names: Sequence[str]) -> dict[str, int]:
    counted = (
        Run.objects.filter(within_reach(actor, Permission.VIEW_RUN), waiting_for_dependency(*names))
        .order_by()
        .values_list("waiting_on")
        .annotate(Count("id"))
    )
    return dict.fromkeys(names, 0) | dict(counted)


def _observed(row: Dependency) -> Observed:
    since = now() - timedelta(days=OBSERVED_DAYS)
    sums = CallWindow.objects.filter(dependency=row, slot_at__gte=since).aggregate(
        calls=Sum("calls"), failures=Sum("failures"), total_ms=Sum("total_ms"), slow=Sum("slow")
    )
    calls = sums["calls"] or 0
    if not calls:
        return Observed(0, None, None, None)
    return Observed(calls, 1 - sums["failures"] / calls, sums["total_ms"] / calls / 1000, sums["slow"] / calls)
