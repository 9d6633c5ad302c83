"""The trend of a workflow's durations: a bar a day against the band that is normal for it. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from portal.core.durations import duration_words
from workflows.queries.activity import DAYS, FEWEST_DAYS, DaySpan

BAR, GAP, HEIGHT = 20, 4, 120
# The middle eight of ten days are normal, and a tenth more: a workflow that is always the same varies a little.
_LOWEST, _HIGHEST, _SLACK = 0.1, 0.9, 0.1
# One bad day would flatten all others: bars are cut at this many times the upper edge of what is normal.
_CUT = 3.0
_HEADROOM = 1.1


@dataclass(frozen=True, slots=True)
class Bar:
    """A day: what 95 of 100 runs took at most. ``is_above``: longer than normal; ``is_cut``: beyond the chart."""

    x: float
    y: float
    height: float
    is_above: bool
    is_cut: bool
    span: DaySpan

    @property
    def title(self) -> str:
        """The bar in words."""
        when = "last 24 hours" if self.span.age == 0 else f"{self.span.age} to {self.span.age + 1} days ago"
        took = duration_words(self.span.p95 or timedelta(0))
        return f"{when}: {took}, {self.span.good} runs" + (", above normal" if self.is_above else "")


@dataclass(frozen=True, slots=True)
class Trend:
    """The chart, oldest day on the left. ``normal`` is None where there are too few days."""

    bars: tuple[Bar, ...]
    normal: tuple[timedelta, timedelta] | None
    top: timedelta
    width: float = DAYS * (BAR + GAP) - GAP
    height: float = HEIGHT

    @property
    def band(self) -> tuple[float, float] | None:
        """The normal band as (y, height)."""
        if self.normal is None:
            return None
        low, high = (HEIGHT * (edge / self.top) for edge in self.normal)
        return round(HEIGHT - high, 1), round(high - low, 1)

    @property
    def summary(self) -> str:
        """The chart in a sentence or two."""
        if not self.bars:
            return "No run ended well in the last 28 days."
        if self.normal is None:
            return "Too few days with runs to say what is normal."
        low, high = map(duration_words, self.normal)
        above = sum(bar.is_above for bar in self.bars)
        days = (
            f"{above} of {len(self.bars)} days {'was' if above == 1 else 'were'} above"
            if above
            else "no day was above"
        )
        cut = max((bar.span.p95 for bar in self.bars if bar.is_cut and bar.span.p95), default=None)
        return f"Normal is {low} to {high}; {days}" + (f", the longest with {duration_words(cut)}." if cut else ".")


def duration_trend(spans: Sequence[DaySpan]) -> Trend:
    """Return the bars of the days in which runs ended well, and what is normal by all but the latest."""
    known = {span: span.p95.total_seconds() for span in spans if span.p95 is not None and span.age < DAYS}
    if not known:
        return Trend((), None, timedelta(0))
    normal = _normal([seconds for span, seconds in known.items() if span.age])
    longest, high = max(known.values()), normal[1] if normal else max(known.values())
    top = min(longest, high * _CUT) * _HEADROOM or 1.0
    bars = []
    for span, seconds in sorted(known.items(), key=lambda pair: -pair[0].age):
        height = round(HEIGHT * min(seconds / top, 1.0), 1)
        place = (DAYS - 1 - span.age) * (BAR + GAP)
        bars.append(Bar(place, round(HEIGHT - height, 1), height, seconds > high, seconds > top, span))
    edges = (timedelta(seconds=normal[0]), timedelta(seconds=normal[1])) if normal else None
    return Trend(tuple(bars), edges, timedelta(seconds=top))


def _normal(seconds: Sequence[float]) -> tuple[float, float] | None:
    if len(seconds) < FEWEST_DAYS:
        return None
    ordered = sorted(seconds)
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (_LOWEST, _HIGHEST))
    return low * (1 - _SLACK), high * (1 + _SLACK)
