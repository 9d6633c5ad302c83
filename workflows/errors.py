"""Errors that a workflow's author raises, and what the engine does about each.

=========================  ==========================================================================
raised                     the engine
=========================  ==========================================================================
``TransientError``         tries again, after a growing, jittered pause, up to the step's limit
``RateLimited``            tries again after the time that the other side asked for
``DependencyUnavailable``  lets the run wait on the dependency; does not count as a try
``InvalidData``            fails the step at once: the data must be corrected
``ConfigurationError``     fails the step at once: a setting is missing or wrong
``BusinessRuleViolation``  fails the step at once: the rules forbid it
``PermanentError``         fails the step at once
any other exception        tries again, except for programming errors (``TypeError``, ``KeyError`` …)
=========================  ==========================================================================
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class WorkflowError(Exception):
    """The step did not succeed."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str = "", **context: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.context = context
        super().__init__(self.message)


class TransientError(WorkflowError):
    """It did not work this time, but may the next."""

    code = "transient"


class RateLimited(TransientError):
    """The other side asks us to slow down.

    :param retry_after: seconds to wait before the next try; None leaves it to the step's ``Retry``.
    """

    code = "rate-limited"

    def __init__(self, message: str = "", retry_after: float | None = None, **context: object) -> None:
        super().__init__(message, **context)
        self.retry_after = retry_after


class StaleRecord(TransientError):
    """Somebody has changed this record since it was read."""

    code = "stale-record"


class OutcomeUnknown(TransientError):
    """The call was sent, but no complete answer came: it is not known whether it had its effect."""

    code = "outcome-unknown"


class DependencyUnavailable(WorkflowError):
    """A service that this step calls cannot be reached; the call had no effect.

    :param dependency: its name; "" means the one in the step's ``calls=``.
    :param retry_at: when to try again; None leaves it to the engine.
    """

    code = "unavailable"

    def __init__(
        self, message: str = "", dependency: str = "", retry_at: datetime | None = None, **context: object
    ) -> None:
        super().__init__(message, **context)
        self.dependency = dependency
        self.retry_at = retry_at


class AtCapacity(WorkflowError):
    """As many calls to this service are out as its limits allow; this one was not made.

    Raised by the engine itself. The run waits; no try is used up, and the service's breaker hears nothing of it.
    """

    code = "at-capacity"

    def __init__(self, message: str, *, dependency: str, seconds: float, **context: object) -> None:
        super().__init__(message, **context)
        self.dependency = dependency
        self.seconds = seconds


class PermanentError(WorkflowError):
    """It will not work, however often it is tried."""

    code = "permanent"


class InvalidData(PermanentError):
    """The data is not valid."""

    code = "invalid-data"


class ConfigurationError(PermanentError):
    """A setting is missing or wrong."""

    code = "configuration"


class BusinessRuleViolation(PermanentError):
    """The rules of the business forbid this."""

    code = "business-rule"


class ApprovalExpired(PermanentError):
    """Nobody answered in time."""

    code = "approval-expired"


class Rejected(PermanentError):
    """A person said no."""

    code = "rejected"


class ChildFailed(PermanentError):
    """The run that this step started did not succeed."""

    code = "child-failed"


class ItemsFailed(PermanentError):
    """More items of a fan-out failed than are tolerated."""

    code = "items-failed"


class DefinitionError(Exception):
    """A workflow's definition has a mistake; the message says where it is and how to mend it."""
