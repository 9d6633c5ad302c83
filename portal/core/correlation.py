"""The correlation id: one name that follows a piece of work through every process and system."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from portal.core.ids import uuid7

HEADER = "X-Correlation-ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_current: ContextVar[str] = ContextVar("correlation_id", default="")


def current_correlation_id() -> str:
    """Return the id in force here, or "" outside any request, task or command."""
    return _current.get()


def new_correlation_id() -> str:
    """Return a fresh id (the 32 hex digits of a UUIDv7)."""
    return uuid7().hex


def accept_correlation_id(value: str | None) -> str:
    """Return a caller's id if it is 1-128 characters of ``A-Z a-z 0-9 . _ : -``, else a fresh one."""
    return value if value and _ACCEPTED.fullmatch(value) else new_correlation_id()


@contextmanager
def correlated(correlation_id: str) -> Iterator[str]:
    """Put ``correlation_id`` in force for the length of a ``with`` block."""
    token = _current.set(correlation_id)
    try:
        yield correlation_id
    finally:
        _current.reset(token)
