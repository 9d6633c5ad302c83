"""What follows when a step raises: try again, wait on a dependency, find out, or give up. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import ValidationError

from portal.core.clock import now
from workflows.definition.step import StepOptions
from workflows.definition.values import Retry
from workflows.engine.failure import leaves_outcome_unknown
from workflows.errors import AtCapacity, DependencyUnavailable, PermanentError, RateLimited

# Said to be final by the author, or mistakes in the code, which do not go away by themselves.
_FINAL = (
    PermanentError,
    TypeError,
    AttributeError,
    NameError,
    LookupError,
    AssertionError,
    NotImplementedError,
    ValidationError,
)
_UNAVAILABLE_PAUSE = (2.0, 8.0)  # seconds; random in between, so that waiting runs do not come back all at once


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Try again after ``delay`` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class AwaitDependency:
    """Wait ``delay`` seconds: the dependency may be back then, or (``at_capacity``) may take one more call."""

    name: str
    delay: float
    at_capacity: bool = False


@dataclass(frozen=True, slots=True)
class FindOut:
    """It is not known whether the effect happened, and it must not be repeated unasked."""

    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No automatic try will help."""

    delay: None = None


Verdict = TryAgain | AwaitDependency | FindOut | GiveUp


def backoff(retry: Retry, attempt: int) -> float:
    """Return the pause in seconds after failed try number ``attempt`` (1 for the first): full jitter."""
    return random.uniform(0, min(retry.cap, retry.base * 2.0 ** (attempt - 1)))  # noqa: S311 - not for secrets


def is_final(error: BaseException) -> bool:
    """Tell whether no further try will help, by what kind of error it is."""
    return isinstance(error, _FINAL)


def helper_verdict(error: BaseException, options: StepOptions, attempt: int) -> Verdict:
    """Decide what follows after try number ``attempt`` of a step's verification or compensation.

    Never ``FindOut``: both may be repeated.
    """
    return verdict(error, replace(options, idempotent=True, optional=False, fallback=None), attempt)


def _pause_until(moment: datetime | None) -> float:
    if moment is None:
        return random.uniform(*_UNAVAILABLE_PAUSE)  # noqa: S311 - not for secrets
    return max(0.0, (moment - now()).total_seconds())


def verdict(error: BaseException, options: StepOptions, attempt: int) -> Verdict:
    """Decide what follows after try number ``attempt`` of a step raised ``error``."""
    if isinstance(error, AtCapacity):  # also where there is a fallback: nothing is wrong, it only takes its turn
        return AwaitDependency(error.dependency, error.seconds, at_capacity=True)
    if isinstance(error, DependencyUnavailable) and not (options.optional or options.fallback):
        name = error.dependency or (options.calls.name if options.calls else "a dependency")
        return AwaitDependency(name, _pause_until(error.retry_at))
    if not options.idempotent and leaves_outcome_unknown(error):
        return FindOut()
    if is_final(error) or attempt >= options.retry.attempts:
        return GiveUp()
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return TryAgain(error.retry_after + backoff(options.retry, 1))
    return TryAgain(backoff(options.retry, attempt))
