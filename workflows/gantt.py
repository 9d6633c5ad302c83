"""The geometry of a run's timeline: where each bar, tick and mark stands, in per cent of the chart's width.

Pure: knows neither the database nor HTML. Positions are percentages, so that the chart fits any width while
its text keeps its size. Long stretches in which nothing worked (a retry days later) are folded to a narrow
break, because otherwise they would squeeze everything that happened into a few pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from portal.core.durations import duration_words

MAX_BARS = 500
NARROWEST = 0.4
FOLD_WIDTH = 7.0
MAX_FOLDS = 5
FOLD_RATIO = 3  # a quiet stretch is folded when it is longer than this many times all the work together
FOLD_FROM = timedelta(seconds=30)
TICKS = 6
TICK_DISTANCE = 9.0

_SHORTEST = timedelta(milliseconds=10)
_STEPS = [
    timedelta(seconds=s) for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
] + [timedelta(hours=h) for h in (1, 2, 3, 6, 12, 24, 48, 168, 336, 672)]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one step's time. ``end`` is None while it goes on."""

    kind: str
    """run, verify, compensate (work), or wait"""
    state: str
    start: datetime
    end: datetime | None
    label: str


@dataclass(frozen=True, slots=True)
class Lane:
    """What one step did, in order of time."""

    step: str
    spans: Sequence[Span] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A span in its place. ``x`` and ``width`` are per cent of the chart's width."""

    x: float
    width: float
    kind: str
    state: str
    label: str
    open: bool = False

    @property
    def is_thin(self) -> bool:
        """Whether nothing worked in it."""
        return self.kind in {"wait", "folded"}


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Fold:
    """A quiet stretch drawn narrower than it was."""

    x: float
    width: float
    label: str

    @property
    def middle(self) -> float:
        """Where its label is centred."""
        return round(self.x + self.width / 2, 3)


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything the template draws. ``now``, ``expected`` and ``due`` are None where they do not apply."""

    bars: dict[str, tuple[Bar, ...]]
    ticks: tuple[Tick, ...]
    folds: tuple[Fold, ...]
    now: float | None
    expected: float | None
    due: float | None
    length: timedelta


@dataclass(frozen=True, slots=True)
class _Segment:
    start: datetime
    end: datetime
    x: float
    width: float
    folded: bool

    @property
    def length(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps moments to per cent of the width, through stretches at scale and folded ones."""

    segments: tuple[_Segment, ...] = field(default_factory=tuple)

    def position(self, at: datetime) -> float:
        """Return where ``at`` stands; moments outside the axis stand at its ends."""
        for segment in self.segments:
            if at <= segment.end:
                share = max((at - segment.start) / segment.length, 0.0) if segment.length else 0.0
                return round(segment.x + segment.width * share, 3)
        return 100.0

    def ticks(self) -> tuple[Tick, ...]:
        """Return round times since the start of each stretch at scale, none closer than a label is wide."""
        scaled = [s for s in self.segments if not s.folded]
        step = _tick_step(sum((s.length for s in scaled), timedelta()))
        ticks: list[Tick] = []
        for segment in scaled:
            plus = "+" if segment is not self.segments[0] else ""
            for number in range(int(segment.length / step) + 1):
                x = self.position(segment.start + number * step)
                if x <= 100 - TICK_DISTANCE / 2 and (not ticks or x - ticks[-1].x >= TICK_DISTANCE):
                    ticks.append(Tick(x, plus + duration_words(number * step)))
        return tuple(ticks)

    def folds(self) -> tuple[Fold, ...]:
        """Return the folded stretches with how long they were."""
        return tuple(Fold(s.x, s.width, duration_words(s.length)) for s in self.segments if s.folded)


def draw(
    lanes: Sequence[Lane],
    *,
    start: datetime,
    now: datetime,
    end: datetime | None,
    expected: datetime | None = None,
    due: datetime | None = None,
) -> Chart:
    """Place the spans of ``lanes`` on an axis from ``start`` to ``end``, or to the expected end.

    ``due`` is marked only if it falls on the axis: a promise of days must not squeeze a run of seconds.
    """
    until = max(end or max(now, expected or now), start + _SHORTEST)
    axis = make_axis(lanes, start=start, now=now, until=until, end=end)
    cap = max(MAX_BARS // max(len(lanes), 1), 4)
    return Chart(
        bars={lane.step: tuple(_bar(axis, s, now) for s in _few(lane.spans, cap)) for lane in lanes},
        ticks=axis.ticks(),
        folds=axis.folds(),
        now=None if end else axis.position(now),
        expected=axis.position(expected) if expected and not end and expected > now else None,
        due=axis.position(due) if due and start < due <= until else None,
        length=until - start,
    )


def make_axis(
    lanes: Iterable[Lane], *, start: datetime, now: datetime, until: datetime, end: datetime | None
) -> Axis:
    """Return the axis: everything at scale, except the longest quiet stretches if they dwarf the work."""
    work = [(s.start, s.end or now) for lane in lanes for s in lane.spans if s.kind != "wait"]
    busy = _merged([(start, start), *work, (now if end is None else until, until)])
    at_work = sum((b - a for a, b in busy), timedelta())
    limit = max(at_work * FOLD_RATIO, FOLD_FROM) if at_work else timedelta.max
    gaps = [(a, b) for (_, a), (b, _) in pairwise(busy) if b - a > limit]
    folded = set(sorted(gaps, key=lambda gap: gap[0] - gap[1])[:MAX_FOLDS])
    cuts = sorted({start, until, *(moment for gap in folded for moment in gap)})
    at_scale = (until - start) - sum((b - a for a, b in folded), timedelta())
    width_left = 100 - FOLD_WIDTH * len(folded)
    segments: list[_Segment] = []
    x = 0.0
    for a, b in pairwise(cuts):
        is_folded = (a, b) in folded
        width = FOLD_WIDTH if is_folded else width_left * ((b - a) / at_scale)
        segments.append(_Segment(a, b, x, width, is_folded))
        x += width
    return Axis(tuple(segments))


def _bar(axis: Axis, span: Span, now: datetime) -> Bar:
    x = min(axis.position(span.start), 100 - NARROWEST)
    width = max(axis.position(span.end or now) - x, NARROWEST)
    return Bar(round(x, 3), round(width, 3), span.kind, span.state, span.label, open=span.end is None)


def _few(spans: Sequence[Span], cap: int) -> Sequence[Span]:
    """Return at most ``cap`` spans: the latest as they are, the earlier ones as one."""
    if len(spans) <= cap:
        return spans
    early, late = spans[: 1 - cap], spans[1 - cap :]
    tries = sum(span.kind != "wait" for span in early)
    return [Span("folded", "waiting", early[0].start, early[-1].end, f"{tries} earlier tries"), *late]


def _merged(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the spans sorted, with those that touch or overlap joined."""
    merged: list[tuple[datetime, datetime]] = []
    for a, b in sorted(spans):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], b))
        else:
            merged.append((a, b))
    return merged


def _tick_step(length: timedelta) -> timedelta:
    return next((step for step in _STEPS if length / step <= TICKS), _STEPS[-1])
