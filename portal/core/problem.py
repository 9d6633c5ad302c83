"""Problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

from portal.core.correlation import current_correlation_id
from portal.core.errors import InvalidInput, PortalError

CONTENT_TYPE = "application/problem+json"


def problem(
    status: int, code: str, detail: str, instance: str, errors: dict[str, list[str]] | None = None
) -> dict[str, object]:
    """Return the members of a problem document. ``errors`` are messages by field of the input."""
    document: dict[str, object] = {
        "type": f"urn:evenkeel:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "instance": instance,
        "correlation_id": current_correlation_id(),
    }
    return document | ({"errors": errors} if errors else {})


def problem_of(error: PortalError, instance: str) -> dict[str, object]:
    """Return the problem document for one of our own errors."""
    fields = error.fields if isinstance(error, InvalidInput) else None
    return problem(error.http_status, error.code, error.message, instance, fields)


def headers_of(error: PortalError) -> dict[str, str]:
    """Return the response headers that go with ``error``; ``retry_after`` in its context is in seconds."""
    headers = {}
    if error.retryable:
        retry_after = error.context.get("retry_after", 5)
        headers["Retry-After"] = str(max(1, round(float(str(retry_after)))))
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return headers
