"""What a version of a workflow changed, in words. Pure: two definitions in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

_STEP_FIELDS = {
    "effect": "effect",
    "idempotent": "idempotent",
    "calls": "dependency",
    "timeout_seconds": "time limit in seconds",
    "retry": "retry",
    "needs": "what it reads",
    "after": "what it follows",
    "conditional": "condition",
    "optional": "optional",
    "fallback": "fallback",
    "lock": "lock",
    "compensates": "can be undone",
    "verifies": "verified after a crash",
    "sensitive": "hidden fields",
    "position": "place",
}
_FIELDS = {"title": "Title", "owner": "Owner", "tier": "Tier", "runbook": "Runbook"}


def version_changes(old: Json, new: Json) -> list[str]:
    """Return what ``new`` does differently from ``old``; empty if nothing but words."""
    return [*_of_workflow(old, new), *_of_input(old, new), *_of_requirements(old, new), *_of_steps(old, new)]


def _of_workflow(old: Json, new: Json) -> Iterator[str]:
    for field, word in _FIELDS.items():
        if old.get(field) != new.get(field):
            yield f"{word}: {_plain(old.get(field))} → {_plain(new.get(field))}"
    before, after = old["objective"], new["objective"]
    if before["success"] != after["success"]:
        yield f"Promised to end well: {before['success']:.2%} → {after['success']:.2%}"
    if before["within_seconds"] != after["within_seconds"]:
        yield f"Promised within: {before['within_seconds']:g} s → {after['within_seconds']:g} s"


def _of_input(old: Json, new: Json) -> Iterator[str]:
    before, after = (d["input"]["schema"].get("properties", {}) for d in (old, new))
    yield from (f"Input: {name} is new" for name in after if name not in before)
    yield from (f"Input: {name} is gone" for name in before if name not in after)
    yield from (f"Input: {name} changed" for name in after if name in before and before[name] != after[name])


def _of_requirements(old: Json, new: Json) -> Iterator[str]:
    before, after = ({r["name"] for r in d["requires"]} for d in (old, new))
    yield from (f"Setting {name} is required" for name in sorted(after - before))
    yield from (f"Setting {name} is no longer required" for name in sorted(before - after))


def _of_steps(old: Json, new: Json) -> Iterator[str]:
    before, after = ({s["name"]: s for s in d["steps"]} for d in (old, new))
    yield from (f"Step {name} is new" for name in after if name not in before)
    yield from (f"Step {name} is gone" for name in before if name not in after)
    is_same_order = list(before) == list(after)
    for name in after:
        for field, word in _STEP_FIELDS.items():
            if name not in before or (field == "position" and not is_same_order):
                continue
            a, b = before[name].get(field), after[name].get(field)
            if a != b:
                yield f"Step {name}, {word}: {_plain(a)} → {_plain(b)}"


def _plain(value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return f"{value['attempts']} tries, {value['base_seconds']:g} to {value['cap_seconds']:g} s apart"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
