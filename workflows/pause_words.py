"""Steps at which a run waits, in words: what each kind is, who or what ends the wait, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from portal.core.durations import duration_words

Json = Mapping[str, Any]

# What happens at the step, shortly; the icon of its box on the map.
_KINDS: dict[str, tuple[str, str]] = {
    "sleep": ("Lets time pass", "timer"),
    "wait_for": ("Waits for an event", "mail"),
    "approval": ("Asks a person", "user-round-check"),
    "child": ("Runs another workflow", "workflow"),
}
ICONS = {kind: icon for kind, (_, icon) in _KINDS.items()}


def kind_of(step: Json) -> str:
    """Return the kind of a declared step at which a run waits, "" for one that works."""
    kind = step.get("kind", "work")
    return kind if kind in _KINDS else ""


def short_words(step: Json) -> str:
    """Return what happens at a step at which a run waits, in a few words."""
    terms = step.get("terms") or {}
    if step["kind"] == "child" and terms:
        return f"Runs {terms['title']}"
    if step["kind"] == "approval" and terms.get("expires_seconds"):
        return f"Asks a person · {_length(terms['expires_seconds'])} to answer"
    if step["kind"] == "wait_for" and terms:
        return f"Waits for {terms['event']['name']}"
    return _KINDS[step["kind"]][0]


def sentences(step: Json) -> list[str]:
    """Return what a step at which a run waits promises, a sentence each."""
    held = "No worker is held while it waits, and no restart ends the wait."
    terms = step.get("terms") or {}
    match step["kind"]:
        case "approval":
            return [held, *_of_approval(terms)] if terms else [held]
        case "child":
            return [held, "If the other run fails, so does this step; a resume resumes both."]
        case "wait_for":
            return [held, *_of_event(terms)] if terms else [held]
        case _:
            return [held]


def _of_event(terms: Json) -> list[str]:
    return [
        "The event may come before the run does.",
        f"After {_length(terms['timeout_seconds'])} without it the run goes on, with nothing in its place.",
    ]


def _of_approval(terms: Json) -> list[str]:
    roles = f" and the role {' or '.join(terms['roles'])}" if terms["roles"] else ""
    right = terms["permission"].replace("_", " ")
    found = [f"An answer needs the right to {right}{roles}."]
    if terms["four_eyes"]:
        found.append("Whoever started the run may not answer.")
    no = "ends the run as cancelled" if terms["on_reject"] == "cancel" else "is an answer with which the run goes on"
    found.append(f"A no {no}.")
    if terms["remind_seconds"]:
        found.append(f"After {_length(terms['remind_seconds'])} without an answer it counts as overdue.")
    if terms["expires_seconds"]:
        end = "the step fails" if terms["on_expiry"] == "fail" else "that counts as a no"
        found.append(f"After {_length(terms['expires_seconds'])} without an answer {end}.")
    return found


def _length(seconds: float) -> str:
    return duration_words(timedelta(seconds=seconds))
