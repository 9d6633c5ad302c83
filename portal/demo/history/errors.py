"""Errors as the engine stores them, for tries that only happened in the generated past."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]


def stored_error(
    kind: str,
    code: str,
    message: str,
    *,
    at: Callable[..., Any],
    cause: tuple[str, str] | None = None,
    **context: object,
) -> Json:
    """Return ``{type, code, message, context, chain, stack}``; the stack's frame is the call in function ``at``."""
    return {
        "type": kind,
        "code": code,
        "message": message,
        "context": {name: str(value) for name, value in context.items()},
        "chain": [{"type": cause[0], "message": cause[1]}] if cause else [],
        "stack": [_frame(at)],
    }


def _frame(function: Callable[..., Any]) -> Json:
    lines, first = inspect.getsourcelines(function)
    offset = next((n for n, line in enumerate(lines) if "ctx.http" in line or "raise " in line), 0)
    return {
        "file": f"{function.__module__.replace('.', '/')}.py",
        "line": first + offset,
        "function": function.__name__,
        "code": lines[offset].strip(),
        "in_app": True,
    }


def no_answer(at: Callable[..., Any], dependency: str, path: str, seconds: int, *, method: str = "POST") -> Json:
    """The other side was too slow."""
    message = f"{dependency} gave no answer within {seconds} s; whether the call had its effect is unknown"
    return stored_error(
        "OutcomeUnknown",
        "outcome-unknown",
        message,
        at=at,
        cause=("ReadTimeout", "timed out"),
        dependency=dependency,
        method=method,
        path=path,
    )


def server_error(at: Callable[..., Any], dependency: str, path: str) -> Json:
    """The other side broke."""
    message = f"{dependency} answered 500 Internal Server Error"
    return stored_error(
        "OutcomeUnknown",
        "outcome-unknown",
        message,
        at=at,
        dependency=dependency,
        method="POST",
        path=path,
        status=500,
    )


def unavailable(at: Callable[..., Any], dependency: str, path: str) -> Json:
    """The other side said that it is not there."""
    message = f"{dependency} answered 503 Service Unavailable"
    return stored_error(
        "DependencyUnavailable",
        "dependency-unavailable",
        message,
        at=at,
        dependency=dependency,
        method="POST",
        path=path,
        status=503,
    )


def not_called(at: Callable[..., Any], dependency: str) -> Json:
    """The breaker let no call through."""
    message = f"{dependency} is not called for now: 10 of the last 12 calls failed"
    return stored_error("DependencyUnavailable", "dependency-unavailable", message, at=at, dependency=dependency)


def refused(at: Callable[..., Any], dependency: str, path: str, kind: str, status: str, detail: str) -> Json:
    """The other side understood, and said no."""
    code = {"PermanentError": "permanent", "InvalidData": "invalid-data"}[kind]
    return stored_error(
        kind,
        code,
        f"{dependency} answered {status}: {detail}",
        at=at,
        dependency=dependency,
        method="POST",
        path=path,
        status=status.split()[0],
    )
