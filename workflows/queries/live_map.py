"""The map of a workflow with what is going on in it: runs at each step, breakers, and the same in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.dependencies.breaker import State as BreakerState
from workflows.dependencies.queries import SHOWN
from workflows.engine.state import RunStatus
from workflows.map import INPUT, Box, Edge, EdgeKind, draw, sources
from workflows.map.drawing import BOX_WIDTH, CHIP_HEIGHT, CHIP_SIZE
from workflows.map.words import effect_word, markers, promises, seconds, text_width
from workflows.models import Dependency
from workflows.pause_words import ICONS, kind_of
from workflows.presentation import State, StateName
from workflows.queries.concerns import RunGroup

Json = Mapping[str, Any]
_ORDER = (StateName.FAILED, StateName.DEGRADED, StateName.WAITING, StateName.RUNNING)
_WORDS = {
    StateName.FAILED: "failed here",
    StateName.DEGRADED: "to be decided here",
    StateName.WAITING: "waiting here",
    StateName.RUNNING: "running here",
}
_STATUSES = {
    StateName.FAILED: ("failed", "rollback_failed"),
    StateName.DEGRADED: ("waiting", "paused", "failed"),
    StateName.WAITING: ("waiting", "queued", "paused", "scheduled"),
    StateName.RUNNING: ("running", "rolling_back"),
}
_ICONS = {"pure": "square-function", "database": "database", "external": "globe", INPUT: "inbox"} | ICONS
_BADGE_ICON, _BADGE_PADDING, _BADGE_GAP, _BADGE_INSET = 14, 7, 4, 10


@dataclass(frozen=True, slots=True)
class Load:
    """How many runs stand at a step, in one state."""

    state: State
    runs: int

    @property
    def words(self) -> str:
        return f"{self.runs} {'run' if self.runs == 1 else 'runs'} {self.state.word}"

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses that the list of runs is to be filtered by."""
        return _STATUSES[self.state.name]


@dataclass(frozen=True, slots=True)
class Badge:
    """A load on the edge of a box."""

    load: Load
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Source:
    """A step that another follows, and what comes from it."""

    name: str
    title: str
    kind: EdgeKind


@dataclass(frozen=True, slots=True)
class MappedStep:
    """A step in words: everything that its box and lines say, and more."""

    number: int
    name: str
    title: str
    description: str
    effect: str
    effect_word: str
    limit: str
    sentences: tuple[str, ...]
    marks: tuple[tuple[str, bool], ...]
    reads_input: bool
    sources: tuple[Source, ...]
    calls: str
    breaker: State | None
    loads: tuple[Load, ...]

    @property
    def icon(self) -> str:
        """The icon of its effect."""
        return _ICONS[self.effect]


@dataclass(frozen=True, slots=True)
class MappedBox:
    """A box with its step (None: the input) and the loads on its edge."""

    box: Box
    step: MappedStep | None
    badges: tuple[Badge, ...]

    @property
    def icon(self) -> str:
        """The icon in its corner."""
        return _ICONS[self.box.effect]

    @property
    def label(self) -> str:
        """The name of the box's link: first what is written in it (WCAG 2.5.3), then what its signs mean."""
        if self.step is None:
            return ""
        written = " ".join([*self.box.lines, self.box.detail, *(chip.word for chip in self.box.chips)])
        breaker = self.step.breaker
        calls = f"Calls {self.step.calls}, breaker {breaker.word.lower()}" if breaker else ""
        loads = ", ".join(load.words for load in self.step.loads)
        return ". ".join(part for part in (written, f"Step {self.step.number}", calls, loads) if part)

    @property
    def worst(self) -> str:
        """The state that colours the box: "failed", "degraded" or "" for none."""
        states = {badge.load.state.name for badge in self.badges}
        return next((s.value for s in (StateName.FAILED, StateName.DEGRADED) if s in states), "")


@dataclass(frozen=True, slots=True)
class Picture:
    """The map in one shape: layered, or in one column for a narrow screen."""

    shape: str
    width: float
    height: float
    boxes: tuple[MappedBox, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class LiveMap:
    """The map in both shapes and in words. ``arriving``: runs that are queued and stand at no step yet."""

    pictures: tuple[Picture, ...]
    steps: tuple[MappedStep, ...]
    arriving: tuple[Load, ...]
    summary: str


def live_map(definition: Json, groups: Iterable[RunGroup], dependencies: Iterable[Dependency]) -> LiveMap:
    """Return the map of ``definition`` with the runs of ``groups`` on it. No query."""
    loads = _loads(groups)
    breakers = {d.name: SHOWN[BreakerState(d.state)] for d in dependencies}
    titles = {step["name"]: step["title"] for step in definition["steps"]}
    steps = tuple(
        _mapped(number, step, titles, breakers, loads.get(step["name"], ()))
        for number, step in enumerate(sorted(definition["steps"], key=lambda s: s["position"]), 1)
    )
    arriving = loads.get("", ())
    by_name = {step.name: step for step in steps}
    shapes = {"layered": False, "column": True}
    pictures = tuple(_picture(name, definition, by_name, arriving, one_column=one) for name, one in shapes.items())
    return LiveMap(pictures, steps, arriving, _summary(definition, steps))


def _loads(groups: Iterable[RunGroup]) -> dict[str, tuple[Load, ...]]:
    """Return how many runs stand at each step; those that have not reached one under ""."""
    counts: dict[str, Counter[StateName]] = {}
    for group in groups:
        counts.setdefault(group.step, Counter())[_state_at_step(group)] += group.runs
    return {
        step: tuple(Load(State(name, _WORDS[name]), count[name]) for name in _ORDER if count[name])
        for step, count in counts.items()
    }


def _state_at_step(group: RunGroup) -> StateName:
    if group.is_undecided:
        return StateName.DEGRADED
    if group.ended_badly:
        return StateName.FAILED
    is_moving = group.status in (RunStatus.RUNNING, RunStatus.ROLLING_BACK) and not group.waits_on
    return StateName.RUNNING if is_moving else StateName.WAITING


def _mapped(
    number: int, step: Json, titles: Mapping[str, str], breakers: Mapping[str, State], loads: tuple[Load, ...]
) -> MappedStep:
    return MappedStep(
        number=number,
        name=step["name"],
        title=step["title"],
        description=step["description"],
        effect=kind_of(step) or step["effect"],
        effect_word=effect_word(step),
        limit="" if kind_of(step) else seconds(step["timeout_seconds"]),
        sentences=tuple(promises(step)),
        marks=tuple(markers(step)),
        reads_input=INPUT in step["needs"],
        sources=tuple(Source(name, titles[name], kind) for name, kind in sources(step).items()),
        calls=step["calls"] or "",
        breaker=breakers.get(step["calls"], State(StateName.WAITING, "Not known")) if step["calls"] else None,
        loads=loads,
    )


def _picture(
    shape: str, definition: Json, steps: Mapping[str, MappedStep], arriving: Sequence[Load], *, one_column: bool
) -> Picture:
    drawn = draw(definition, one_column=one_column)
    boxes = tuple(
        MappedBox(box, step, tuple(_badges(box, step.loads if step else arriving)))
        for box in drawn.boxes
        for step in [steps.get(box.name)]
    )
    return Picture(shape, drawn.width, drawn.height, boxes, drawn.edges)


def _badges(box: Box, loads: Sequence[Load]) -> Iterator[Badge]:
    """Yield the loads from the right end of the box's upper edge to the left."""
    x = box.x + BOX_WIDTH - _BADGE_INSET
    for load in reversed(loads):
        width = round(text_width(str(load.runs), CHIP_SIZE) + _BADGE_ICON + 2 * _BADGE_PADDING)
        x -= width
        yield Badge(load, x, box.y - CHIP_HEIGHT / 2, width)
        x -= _BADGE_GAP


def _summary(definition: Json, steps: Sequence[MappedStep]) -> str:
    transitions = sum(len(step.sources) + step.reads_input for step in steps)
    hazards = Counter(word for step in steps for word, is_hazard in step.marks if is_hazard)
    marked = "; ".join(f"{count} {word}" for word, count in hazards.items())
    loads = Counter[str]()
    for step in steps:
        for load in step.loads:
            loads[load.state.word] += load.runs
    standing = "; ".join(f"{runs} {'run' if runs == 1 else 'runs'} {word[:-5]}" for word, runs in loads.items())
    facts = f"{len(steps)} steps and {transitions} transitions" + (f", of which {marked}" if marked else "")
    return f"{definition['title']}: {facts}." + (f" Now {standing}." if standing else " No run is in it now.")
