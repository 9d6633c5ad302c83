"""When something is due: a cron expression in a time zone. Pure: no database, and no clock of its own.

Where clocks change, the rules are Debian cron's: what has a fixed time of day happens once a day, a time that
is left out on the day clocks go forward moves to the first minute after the gap, a time that comes twice on
the day they go back counts the first time. What recurs within the day (``*/15 * * * *``) follows the real time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_FIELDS = 5  # minute, hour, day of month, month, day of week
_YEAR = 366  # days: how far ahead the next change of clocks is looked for
_EXAMPLE = '"0 2 * * 1-5" is every working day at 02:00'


class CronError(ValueError):
    """The expression or the zone cannot be understood; the message says how to mend it."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The next moment at which a zone's clocks are set from ``old`` to ``new`` (both local, without a zone)."""

    at: datetime
    old: datetime
    new: datetime

    @property
    def goes_forward(self) -> bool:
        """Whether an hour is left out; else one comes twice."""
        return self.new > self.old


@dataclass(frozen=True, slots=True)
class Cron:
    """A checked cron expression in a zone.

    :raises CronError: for five fields that are none, a zone that is not known, or a date that never comes.
    """

    expression: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            zone = ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise CronError(
                f'"{self.zone}" is no time zone that is known here; write it like "Europe/Berlin"'
            ) from None
        if len(self.expression.split()) != _FIELDS:
            raise CronError(f'"{self.expression}" does not have the five fields of cron: {_EXAMPLE}')
        try:
            next(CronSim(self.expression, datetime(2024, 1, 1, tzinfo=zone)))
        except CronSimError as exc:
            raise CronError(f'"{self.expression}" is no cron expression ({exc}): {_EXAMPLE}') from exc
        except StopIteration:
            raise CronError(f'"{self.expression}" never comes: there is no such date') from None

    def after(self, moment: datetime) -> datetime:
        """Return the first time (UTC) later than ``moment``."""
        return next(self.times_after(moment))

    def times_after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the times (UTC) later than ``moment``, each later than the one before, without an end."""
        latest = moment
        for found in CronSim(self.expression, moment.astimezone(ZoneInfo(self.zone))):
            at = found.astimezone(UTC)
            # Within an hour that comes twice the search may begin too early; two times of a gap fall together.
            if at > latest:
                yield at
                latest = at

    def between(self, since: datetime, until: datetime, *, at_most: int) -> list[datetime]:
        """Return the times (UTC) later than ``since`` and not later than ``until``, the first ``at_most`` of them."""
        times: list[datetime] = []
        for at in islice(self.times_after(since), at_most):
            if at > until:
                break
            times.append(at)
        return times

    @property
    def words(self) -> str:
        """The expression in words: "At 02:00 on Monday through Friday"."""
        return str(CronSim(self.expression, datetime(2024, 1, 1, tzinfo=UTC)).explain())

    def clock_note(self, moment: datetime) -> str:
        """Say what the zone's next change of clocks does to this; "" if there is none within a year, or nothing."""
        change = next_clock_change(self.zone, moment)
        if change is None or not self._has_fixed_times:
            return ""
        day = f"{change.old.day} {change.old:%B %Y}"
        start, end = sorted((change.old, change.new))
        hit = self._fixed_time_within(start, end)
        if hit is None:
            return f"Clocks change on {day}; its times of day stay as they are."
        if change.goes_forward:
            return f"On {day} there is no {hit:%H:%M} in {self.zone}: that day it starts at {change.new:%H:%M}."
        return f"On {day} {hit:%H:%M} comes twice in {self.zone}: it starts the first time only."

    @property
    def _has_fixed_times(self) -> bool:
        """Whether it is due at times of day, and not every so many minutes or hours."""
        minute, hour = self.expression.split()[:2]
        return not (minute.startswith("*") or hour.startswith("*"))

    def _fixed_time_within(self, start: datetime, end: datetime) -> datetime | None:
        """Return the first local time in [start, end) at which this is due; None if it is not."""
        found = next(CronSim(self.expression, start - timedelta(seconds=1)))
        return found if found < end else None


def next_clock_change(zone: str, moment: datetime) -> ClockChange | None:
    """Return the first change of the zone's clocks within a year after ``moment``; None if there is none."""
    place = ZoneInfo(zone)
    low = moment.astimezone(UTC).replace(second=0, microsecond=0)
    offset = low.astimezone(place).utcoffset()
    for _ in range(_YEAR):
        high = low + timedelta(days=1)
        if high.astimezone(place).utcoffset() != offset:
            return _narrowed(place, low, high)
        low = high
    return None


def _narrowed(place: ZoneInfo, low: datetime, high: datetime) -> ClockChange:
    """Return the change between ``low`` and ``high``, to the minute."""
    before = low.astimezone(place).utcoffset() or timedelta()
    while high - low > timedelta(minutes=1):
        middle = (low + (high - low) / 2).replace(second=0, microsecond=0)
        if middle.astimezone(place).utcoffset() == before:
            low = middle
        else:
            high = middle
    after = high.astimezone(place).utcoffset() or timedelta()
    local = high.replace(tzinfo=None)
    return ClockChange(high, local + before, local + after)
