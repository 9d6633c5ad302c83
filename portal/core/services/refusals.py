"""Attempts that were refused: the audit trail tells of them too."""

from __future__ import annotations

from django.http import HttpRequest

from portal.core import audit
from portal.core.actor import actor_of
from portal.core.errors import Forbidden, NotAuthenticated


def record_refusal(request: HttpRequest, error: Forbidden) -> None:
    """Record that a signed-in person or a token tried to change something without the right to.

    Called at the request's edge, where the refused service's transaction has been rolled back already.
    """
    try:
        actor = actor_of(request)
    except NotAuthenticated:
        return
    audit.record(
        actor=actor,
        action="core.request.refuse",
        object_type="address",
        object_id=request.path,
        object_label=f"{request.method} {request.path}",
        reason=error.message,
        after={"permission": error.context.get("permission")},
        result=audit.Result.REFUSED,
    )
