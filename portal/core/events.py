"""News that travels upward: frozen facts in the past tense, handed to handlers after the commit.

The handlers are bound in ONE table, ``portal/web/wiring.py``. A handler only enqueues.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened and is committed."""


@dataclass(frozen=True, slots=True)
class BreakerOpened(Event):
    """A dependency gets no calls for now."""

    dependency: str
    reason: str


@dataclass(frozen=True, slots=True)
class BreakerClosed(Event):
    """A dependency gets calls again."""

    dependency: str
    reason: str


@dataclass(frozen=True, slots=True)
class ApprovalAsked(Event):
    """A run waits for a person's yes or no."""

    run_id: str
    workflow: str
    step: str
    question: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApprovalOverdue(Event):
    """Nobody has answered within the time that the workflow's author gave."""

    run_id: str
    workflow: str
    step: str
    question: str
    asked_at: datetime
    expires_at: datetime | None


Handler = Callable[[Any], None]
_handlers: dict[type[Event], Sequence[Handler]] = {}


def bind(table: Mapping[type[Event], Sequence[Handler]]) -> None:
    """Set who hears of what, once, at start-up. An event goes to the handlers of exactly its class."""
    _handlers.clear()
    _handlers.update(table)


def publish(event: Event) -> None:
    """Hand ``event`` to its handlers once the current transaction commits (at once outside one).

    A handler that raises is logged and does not keep the others, or the caller, from going on.
    """
    for handler in _handlers.get(type(event), ()):
        transaction.on_commit(_call(handler, event), robust=True)


def _call(handler: Handler, event: Event) -> Callable[[], None]:
    # A function, not a partial: Django logs a robust callback that raised by its __qualname__.
    def call() -> None:
        handler(event)

    return call
