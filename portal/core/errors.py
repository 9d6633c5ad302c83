"""Errors that a caller can act on. The class docstring is the default message; the fields are data.

Translated at three edges only: the middleware (page or fragment), the API's exception handler
(problem+json, RFC 9457) and the task base class.
"""

from __future__ import annotations

from typing import ClassVar


class PortalError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", **context: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.context = context
        super().__init__(self.message)


class InvalidInput(PortalError):
    """The input is not valid."""

    code = "invalid-input"
    http_status = 422

    def __init__(self, message: str = "", *, fields: dict[str, list[str]] | None = None, **context: object) -> None:
        super().__init__(message, **context)
        self.fields = fields or {}


class NotAuthenticated(PortalError):
    """Sign in first."""

    code = "not-authenticated"
    http_status = 401


class Forbidden(PortalError):
    """You may see this, but not do that."""

    code = "forbidden"
    http_status = 403


class NotFound(PortalError):
    """There is nothing here, or nothing that you may see."""

    code = "not-found"
    http_status = 404


class Conflict(PortalError):
    """The request does not fit the present state."""

    code = "conflict"
    http_status = 409


class InvalidTransition(Conflict):
    """That is not possible in the present state."""

    code = "invalid-transition"


class StaleVersion(Conflict):
    """This has changed since you looked at it."""

    code = "stale-version"


class IdempotencyKeyReused(Conflict):
    """This Idempotency-Key was used for another request. Use a new key for a new request."""

    code = "idempotency-key-reused"


class LeaseLost(Conflict):
    """Another worker has taken this run over."""

    code = "lease-lost"


class LockLost(Conflict):
    """Somebody broke this lock; another run may have it now."""

    code = "lock-lost"


class Unavailable(PortalError):
    """A service that this needs does not answer."""

    code = "unavailable"
    http_status = 503
    retryable = True
