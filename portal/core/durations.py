"""Durations in words, as every page writes them: the two largest units, with a space before each unit."""

from __future__ import annotations

from datetime import timedelta

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def duration_words(duration: timedelta) -> str:
    """Return ``duration`` in at most two units: "340 ms", "4.2 s", "2 m 14 s", "3 d 4 h"."""
    seconds = max(duration.total_seconds(), 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    rest = round(seconds)
    place = next(place for place, (size, _) in enumerate(_UNITS) if rest >= size)
    words = []
    for size, unit in _UNITS[place : place + 2]:
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words)
