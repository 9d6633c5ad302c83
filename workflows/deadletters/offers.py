"""What can be done with a dead letter now, and what is said of what cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.deadletters.conf import REPLAY_LIMIT
from workflows.deadletters.words import times
from workflows.models import DeadLetter

_OPEN, _DISCARDED = DeadLetter.Status.OPEN, DeadLetter.Status.DISCARDED


@dataclass(frozen=True, slots=True)
class Offer:
    """A command as a button. ``hindrance``: why its state forbids it; ``why_not``: which right is missing."""

    name: str
    label: str
    icon: str
    url: str
    hindrance: str
    why_not: str


def offers(actor: Actor, letter: DeadLetter) -> list[Offer]:
    """Return every command there is, in the order of their buttons."""
    owner = letter.workflow.team.name if letter.workflow else "an administrator"
    return [
        Offer(
            name=name,
            label=label,
            icon=icon,
            url=reverse(f"dead-letter-{name}", args=[letter.pk]),
            hindrance=hindrance(letter),
            why_not=""
            if may(actor, permission, letter)
            else f"Needs the right to {permission.replace('_', ' ')}. Ask {owner} for it.",
        )
        for name, label, icon, permission, hindrance in _COMMANDS
    ]


def _not_open(letter: DeadLetter) -> str:
    return "" if letter.status == _OPEN else f"It is {letter.get_status_display().lower()} already."


def _not_replayable(letter: DeadLetter) -> str:
    if letter.status == _OPEN and letter.replay_count >= REPLAY_LIMIT:
        return f"It was replayed {times(letter.replay_count)} and died each time: edit or discard it."
    return _not_open(letter)


def _not_discarded(letter: DeadLetter) -> str:
    return "" if letter.status == _DISCARDED else "It is not discarded."


_COMMANDS: tuple[tuple[str, str, str, Permission, Callable[[DeadLetter], str]], ...] = (
    ("discard", "Discard", "trash-2", Permission.DISCARD_DEAD_LETTER, _not_open),
    ("edit", "Edit and replay", "pencil", Permission.EDIT_DEAD_LETTER, _not_open),
    ("replay", "Replay", "repeat", Permission.REPLAY_DEAD_LETTER, _not_replayable),
    ("restore", "Bring back", "undo-2", Permission.DISCARD_DEAD_LETTER, _not_discarded),
)
