"""The correlation id: one name that follows a piece of work through every process and system."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from portal.core.ids import uuid7

HEADER = "X-Correlation-ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?P<trace_id>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_current: ContextVar[str] = ContextVar("correlation_id", default="")
_trace: ContextVar[str] = ContextVar("trace_id", default="")


def current_correlation_id() -> str:
    """Return the id in force here, or "" outside any request, task or command."""
    return _current.get()


def current_trace_id() -> str:
    """Return the W3C trace id in force here (32 hex digits), or "" where no correlation id is."""
    current = _current.get()
    if not current or _trace.get():
        return _trace.get()
    # An id of ours is a valid trace id already; a foreign one gets the same trace id in every process.
    return current if _TRACE_ID.fullmatch(current) else hashlib.sha256(current.encode()).hexdigest()[:32]


def new_correlation_id() -> str:
    """Return a fresh id (the 32 hex digits of a UUIDv7)."""
    return uuid7().hex


def accept_correlation_id(value: str | None) -> str:
    """Return a caller's id if it is 1-128 characters of ``A-Z a-z 0-9 . _ : -``, else a fresh one."""
    return value if value and _ACCEPTED.fullmatch(value) else new_correlation_id()


def accept_trace_id(traceparent: str | None) -> str:
    """Return the trace id of a W3C ``traceparent`` header, or "" if there is no valid one."""
    parsed = _TRACEPARENT.fullmatch(traceparent or "")
    return parsed["trace_id"] if parsed and _TRACE_ID.fullmatch(parsed["trace_id"]) else ""


def traceparent() -> str:
    """Return the header for an outgoing call: the trace in force, with a new span; "" without one."""
    trace_id = current_trace_id()
    return f"00-{trace_id}-{secrets.token_hex(8)}-01" if trace_id else ""


@contextmanager
def correlated(correlation_id: str, trace_id: str = "") -> Iterator[str]:
    """Put ``correlation_id`` (and a trace id that came with it) in force for the length of a ``with`` block."""
    token, trace_token = _current.set(correlation_id), _trace.set(trace_id)
    try:
        yield correlation_id
    finally:
        _trace.reset(trace_token)
        _current.reset(token)
