"""Work that recurs: done once in its time in the whole fleet, beside what the process that starts it does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.core.cache import cache
from django.db import DatabaseError, connection

from portal.core.audit import check_and_note

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """What is to be done, and how often."""

    name: str
    every: timedelta
    work: Callable[[], object]


CHORES = (Chore("verify-audit", timedelta(days=1), check_and_note),)


_added: list[Chore] = []


def add_chore(chore: Chore) -> None:
    """Have one more thing done in the fleet. For the ``ready`` of an app that the dispatcher does not know."""
    _added.append(chore)


def added_chores() -> tuple[Chore, ...]:
    """Return what apps have added."""
    return tuple(_added)


def start_due_chores(chores: Iterable[Chore] = CHORES) -> list[threading.Thread]:
    """Start, each in a thread, the chores that nobody has started in their time; returns the threads.

    Who starts one is settled in the cache. If the cache was emptied, a chore is done once too often.
    """
    due = [c for c in chores if cache.add(f"chore:{c.name}", "started", timeout=c.every.total_seconds())]
    threads = [threading.Thread(target=_do, args=(chore,), name=chore.name, daemon=True) for chore in due]
    for thread in threads:
        thread.start()
    return threads


def _do(chore: Chore) -> None:
    try:
        chore.work()
    except DatabaseError:
        log.exception("chore_failed", chore=chore.name)
        cache.delete(f"chore:{chore.name}")
    finally:
        connection.close()
