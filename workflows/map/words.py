"""The words of the map: what a step's box says, cut to fit, and the same facts in whole sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows import pause_words
from workflows.step_words import each_words

Step = Mapping[str, Any]

EFFECTS: dict[str, tuple[str, str]] = {
    "pure": ("Calculation", "Changes nothing outside the run; free to repeat."),
    "database": ("Database", "Its writes and its checkpoint commit together: exactly once."),
    "external": ("External call", "Sent with the same operation key every time, so a repeat is recognised."),
}
_UNREPEATABLE = "The other side does not recognise a repeat, so it is never sent twice without a check."

_LINE_SIZE, _LINE_WIDTH = 11.5, 176.0  # of the second line in a box

_WIDE, _NARROW = frozenset("mwMW@%"), frozenset("iljtfrI.,:;'|!()[] -")


def effect_line(step: Step) -> str:
    """Return a step's effect and time limit, short enough for its box."""
    if pause_words.kind_of(step):
        return shortened(pause_words.short_words(step), _LINE_SIZE, _LINE_WIDTH)
    each = "for each · " if "each" in step else ""
    return f"{EFFECTS[step['effect']][0]} · {each}{seconds(step['timeout_seconds'])} limit"


_FALLBACK_MARKS = {"cached": "falls back on its last value", "ask": "asks a person if it fails"}


def effect_word(step: Step) -> str:
    """Return in a few words where a step has its effect, or what it waits for."""
    return pause_words.short_words(step) if pause_words.kind_of(step) else EFFECTS[step["effect"]][0]


def promises(step: Step) -> list[str]:
    """Return what a step promises, a sentence each."""
    if pause_words.kind_of(step):
        return [*pause_words.sentences(step), *other_facts(step)]
    return [effect_sentence(step), retry_sentence(step), *other_facts(step)]


def effect_sentence(step: Step) -> str:
    """Return what a step does to the world and what is promised when a worker dies."""
    return EFFECTS[step["effect"]][1] if step["idempotent"] else _UNREPEATABLE


def retry_sentence(step: Step) -> str:
    """Return when a step is tried again."""
    retry = step["retry"]
    if not retry:
        return "No retry: the first error ends it."
    first, cap = seconds(retry["base_seconds"]), seconds(retry["cap_seconds"])
    return f"Up to {retry['attempts']} tries, {first} to {cap} apart."


def other_facts(step: Step) -> list[str]:
    """Return what else there is to know of a step, a sentence each."""
    fallback = _fallback_sentence(step)
    hidden = f"Hidden from most people: {', '.join(step['sensitive'])}." if step["sensitive"] else ""
    each = f"{each_words(step)}." if "each" in step else ""
    emits = f"Emits {' and '.join(event['name'] for event in step.get('emits', ()))}."
    facts = [
        (each, each),
        (emits, step.get("emits")),
        ("A rollback can undo it.", step["compensates"]),
        ("A rollback cannot undo it.", step["effect"] != "pure" and not step["compensates"]),
        ("After a crash, a check finds out whether it happened.", step["verifies"]),
        ("After a crash, a person has to say whether it happened.", not (step["idempotent"] or step["verifies"])),
        ("Skipped where its condition does not hold.", step["conditional"]),
        ("If it fails, the run goes on without it.", step["optional"]),
        (fallback, fallback),
        (f"It has {step.get('lock')} to itself, one run at a time.", step.get("lock")),
        (hidden, hidden),
    ]
    return [words for words, applies in facts if applies]


def _fallback_sentence(step: Step) -> str:
    if not step["fallback"]:
        return ""
    if step.get("fallback_kind") == "ask":
        return f"If it fails, a person is asked: “{step['fallback']}”"
    return f"If it fails, {step['fallback']} is used instead."


def seconds(value: float) -> str:
    """Return a configured time in words: 500 ms, 10 s, 2 min."""
    if value < 1:
        return f"{value * 1000:g} ms"
    return f"{value / 60:g} min" if value >= 60 and value % 60 == 0 else f"{value:g} s"


def markers(step: Step) -> list[tuple[str, bool]]:
    """Return the words that a step's box carries, each with whether it warns of a hazard."""
    facts = [
        ("not idempotent", True, not step["idempotent"]),
        ("no retry", step["effect"] != "pure", not step["retry"]),
        ("can be undone", False, step["compensates"]),
        ("verified after a crash", False, step["verifies"]),
        ("conditional", False, step["conditional"]),
        ("optional", False, step["optional"]),
        (_FALLBACK_MARKS.get(str(step.get("fallback_kind")), "has a fallback"), False, bool(step["fallback"])),
        ("locked", False, bool(step.get("lock"))),
    ]
    return [(word, is_hazard) for word, is_hazard, applies in facts if applies]


def text_width(text: str, size: float) -> float:
    """Return roughly how wide ``text`` is in the interface font at ``size`` pixels."""
    units = sum(0.88 if c in _WIDE else 0.3 if c in _NARROW else 0.68 if c.isupper() else 0.57 for c in text)
    return units * size


def shortened(text: str, size: float, width: float) -> str:
    """Return ``text``, cut with an ellipsis if it is wider than ``width``."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1].rstrip()
    return text + "…"


def wrapped(text: str, size: float, width: float) -> tuple[str, ...]:
    """Return ``text`` on one line or two, the second cut if need be."""
    words = text.split()
    first = words[:1]
    for word in words[1:]:
        if text_width(" ".join([*first, word]), size) > width:
            break
        first.append(word)
    rest = " ".join(words[len(first) :])
    lines = (shortened(" ".join(first), size, width), shortened(rest, size, width))
    return lines if rest else lines[:1]
