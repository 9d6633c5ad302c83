"""An exception as JSON: what is stored of a failure, and shown of it. Never pickled."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from workflows.engine.interrupt import StepTimedOut
from workflows.errors import OutcomeUnknown, WorkflowError
from workflows.redaction import blot_out

_MAX_MESSAGE = 2000
_MAX_CONTEXT = 200
_MAX_FRAMES = 30
_ENGINE = str(Path(__file__).resolve().parent.parent)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def describe_error(error: BaseException, secrets: Collection[str] = ()) -> dict[str, Any]:
    """Return ``{type, code, message, context, chain, stack}`` for an exception, none of ``secrets`` quoted in it.

    ``chain`` lists the causes, nearest first; ``stack`` the frames of the exception itself, outermost
    first, without local variables (they may hold secrets).
    """
    return {
        "type": type(error).__name__,
        "code": code_of(error),
        "message": blot_out(message_of(error), secrets),
        "context": {
            key: blot_out(str(value), secrets)[:_MAX_CONTEXT] for key, value in getattr(error, "context", {}).items()
        },
        "chain": [cause | {"message": blot_out(cause["message"], secrets)} for cause in _chain(error)],
        "stack": _stack(error),
    }


def brief(error: dict[str, Any]) -> dict[str, Any]:
    """Return only type, code and message of a described error: what an event carries."""
    return {key: error[key] for key in ("type", "code", "message")}


def code_of(error: BaseException) -> str:
    """Return a stable word for the kind of failure."""
    if isinstance(error, WorkflowError):
        return error.code
    if isinstance(error, StepTimedOut):
        return "timeout"
    if isinstance(error, ValidationError):
        return "invalid-output"
    return "exception"


def message_of(error: BaseException) -> str:
    """Return one readable message, shortened to 2000 characters."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the value"
        return f"{error.title}: {place}: {first['msg']}"
    return (str(error) or type(error).__name__)[:_MAX_MESSAGE]


def leaves_outcome_unknown(error: BaseException) -> bool:
    """Tell whether the step's effect may have happened although it raised this.

    Errors that an author raised on purpose say that it did not; anything else may have come too late.
    """
    return isinstance(error, OutcomeUnknown) or not isinstance(error, WorkflowError)


def _chain(error: BaseException) -> list[dict[str, str]]:
    chain: list[dict[str, str]] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and len(chain) < 10:
        chain.append({"type": type(cause).__name__, "message": message_of(cause)})
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return chain


def _stack(error: BaseException) -> list[dict[str, Any]]:
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    return [
        {
            "file": "/".join(Path(frame.filename).parts[-3:]),
            "line": frame.lineno,
            "function": frame.name,
            "code": frame.line or "",
            "in_app": not frame.filename.startswith((_ENGINE, *_LIBRARIES)),
        }
        for frame in frames
    ]
