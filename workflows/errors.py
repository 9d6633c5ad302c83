"""Errors that a step raises to say what is wrong and, by that, what happens next.

Two families: trying again may help (:class:`TransientError`) or it cannot (:class:`PermanentError`). Any other exception that
leaves a step counts as permanent: a bug does not go away by repeating it.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class WorkflowError(Exception):
    """The step could not do its work."""

    code: ClassVar[str] = "workflow-error"

    def __init__(self, message: str = "", **context: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.context = context
        super().__init__(self.message)


class TransientError(WorkflowError):
    """It did not work this time; trying again may help."""

    code = "transient"


class RateLimited(TransientError):
    """The other side asks for fewer calls."""

    code = "rate-limited"

    def __init__(self, message: str = "", retry_after: float | None = None, **context: object) -> None:
        super().__init__(message, **context)
        self.retry_after = retry_after
        """Seconds that the other side asked to wait, or None when it did not say."""


class DependencyUnavailable(TransientError):
    """A service that this step calls is not available."""

    code = "dependency-unavailable"

    def __init__(
        self, message: str = "", dependency: str = "", retry_at: datetime | None = None, **context: object
    ) -> None:
        super().__init__(message, **context)
        self.dependency = dependency
        self.retry_at = retry_at
        """When the run should try again, or None to let the retry policy decide."""


class PermanentError(WorkflowError):
    """It does not work, and trying again would not help."""

    code = "permanent"


class InvalidData(PermanentError):
    """The data does not fit what the step needs."""

    code = "invalid-data"


class BusinessRuleViolation(PermanentError):
    """A rule of the business forbids this."""

    code = "business-rule"


class ConfigurationError(PermanentError):
    """A setting is missing or wrong."""

    code = "configuration"
