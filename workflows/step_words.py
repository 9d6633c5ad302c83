"""What a step's declaration promises, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from portal.core.durations import duration_words
from workflows import pause_words

Json = Mapping[str, Any]


def effect_words(step: Json) -> str:
    """Say where the step has its effect."""
    if pause_words.kind_of(step):
        return pause_words.short_words(step)
    match step["effect"]:
        case "pure":
            return "None: it only computes"
        case "database":
            return "Writes to the database of the portal"
        case _:
            target = step["calls"] or "another system"
            return f"Acts in {target}" + ("" if step["idempotent"] else ", not idempotent")


def promise(step: Json) -> str:
    """Say what is promised when a worker dies at the worst moment."""
    if pause_words.kind_of(step):
        return " ".join(pause_words.sentences(step))
    if step["effect"] == "pure":
        return "Free to repeat."
    if step["effect"] == "database":
        return "Exactly once: its writes and its checkpoint commit together."
    if step["idempotent"]:
        return "At least once; effectively once if the other side honours the operation key."
    if step["verifies"]:
        return "At most once: after a crash the other side is asked whether it happened."
    return "At most once: after a crash a person decides. Never repeated silently."


def each_words(step: Json) -> str:
    """Say over what a fan-out goes, how many at a time, and how many may fail."""
    each = step["each"]
    tolerate = each["tolerate"]
    share = f"{tolerate:.0%}" if isinstance(tolerate, float) else str(tolerate)
    may_fail = f"{share} may fail" if tolerate else "none may fail"
    return f"For each of {each['over']}, {each['concurrency']} at a time; {may_fail}"


def retry_words(step: Json) -> str:
    """Say how often it is tried."""
    if pause_words.kind_of(step):
        return "Waiting is no try"
    retry = step["retry"]
    if not retry:
        return "No retry"
    longest = duration_words(timedelta(seconds=retry["cap_seconds"]))
    return f"Up to {retry['attempts']} tries, at most {longest} apart"


def undo_words(step: Json, *, is_undone: bool) -> str:
    """Say whether a rollback undoes it."""
    if is_undone:
        return "Undone"
    if step["compensates"]:
        return "A rollback undoes it"
    return "Nothing to undo" if step["effect"] == "pure" else "A rollback cannot undo it"
