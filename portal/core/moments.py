"""Times in the words of the pages: "4 min ago", "20 Nov, 09:12", and all of it in a tooltip."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.utils import timezone

DAY = timedelta(days=1)


def absolute_words(value: datetime, *, seconds: bool = False) -> str:
    """Return a time in the viewer's zone; the year only where it is not this one."""
    local = timezone.localtime(value)
    year = "" if local.year == timezone.localtime().year else f" {local.year}"
    return (
        f"{local.day} {local:%b}{year}, {local:%H:%M:%S}"
        if seconds
        else f"{local.day} {local:%b}{year}, {local:%H:%M}"
    )


def clock_words(value: datetime) -> str:
    """Return the time of day with seconds in the viewer's zone, with the date only if it is not today."""
    local = timezone.localtime(value)
    is_today = local.date() == timezone.localdate()
    return f"{local:%H:%M:%S}" if is_today else absolute_words(value, seconds=True)


def minute_words(value: datetime) -> str:
    """Return the time of day in the viewer's zone, with the date only if it is not today."""
    local = timezone.localtime(value)
    return f"{local:%H:%M}" if local.date() == timezone.localdate() else absolute_words(value)


def relative_words(value: datetime, now: datetime) -> str:
    """Return how long ago, or in how long; beyond a day the absolute time. static/js/times.js says the same."""
    apart = now - value
    if abs(apart) >= DAY:
        return absolute_words(value)
    seconds = round(abs(apart).total_seconds())
    if seconds < 5:
        return "now"
    if seconds < 60:
        words = f"{seconds} s"
    elif seconds < 7200:
        words = f"{seconds // 60} min"
    else:
        words = f"{seconds // 3600} h"
    return f"{words} ago" if apart > timedelta(0) else f"in {words}"


def full_words(value: datetime) -> str:
    """Return the tooltip of a time: in the viewer's zone with its offset, and in UTC."""
    local = timezone.localtime(value)
    offset = f"{local:%z}"
    here = f"{local:%a} {local.day} {local:%b %Y, %H:%M:%S} {local.tzname()} (UTC{offset[:3]}:{offset[3:]})"
    if offset == "+0000":
        return here
    utc = value.astimezone(UTC)
    return f"{here}\n{utc.day} {utc:%b %Y, %H:%M:%S} UTC"
