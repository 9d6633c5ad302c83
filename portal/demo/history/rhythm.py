"""When work arrives: the firm's day and week, for the generated past and for the live traffic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

# Share of a working day's work that arrives in each hour (UTC): office hours with a lunch dip, a thin night.
_HOURS = (3, 2, 2, 2, 3, 6, 18, 42, 78, 96, 98, 84, 58, 74, 92, 86, 64, 38, 22, 16, 12, 9, 6, 4)
_WEEKDAYS = (1.12, 1.1, 1.0, 1.02, 0.88, 0.2, 0.14)
_DAY = sum(_HOURS)


def intensity(at: datetime) -> float:
    """Return how busy a moment is: 1.0 is the mean of an average working day, and the peak is about 2.8."""
    return _WEEKDAYS[at.weekday()] * _HOURS[at.hour] * 24 / _DAY


def arrivals(rng: Random, start: datetime, end: datetime, *, per_day: float) -> Iterator[datetime]:
    """Yield moments between ``start`` and ``end``, ``per_day`` on an average working day (a Poisson process).

    Thinning: draw at the peak's rate, keep each draw with the probability of its moment.
    """
    peak = max(_WEEKDAYS) * max(_HOURS) * 24 / _DAY
    at = start
    while True:
        at += timedelta(days=rng.expovariate(per_day * peak))
        if at >= end:
            return
        if rng.random() < intensity(at) / peak:
            yield at
