"""Addresses that go wrong in every way, for the tests of the request's edges."""

from __future__ import annotations

import structlog
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.core.actor import actor_of
from portal.core.api import HasRequiredRight
from portal.core.correlation import current_correlation_id, current_trace_id
from portal.core.errors import Forbidden, InvalidInput, PortalError, Unavailable
from portal.core.permissions import Permission
from portal.core.web import requires

log = structlog.get_logger(__name__)


@login_not_required
def ids(request: HttpRequest) -> HttpResponse:
    log.info("seen", password="hunter2", url="redis://me:hunter2@host/0")
    return HttpResponse(f"{current_correlation_id()} {current_trace_id()}")


@requires(Permission.RETRY_STEP)
def guarded(request: HttpRequest, key: str = "") -> HttpResponse:
    log.info("inside")
    return HttpResponse("inside")


@requires()
def going_wrong(request: HttpRequest, how: str) -> HttpResponse:
    errors: dict[str, Exception] = {
        "invalid": InvalidInput(fields={"reason": ["Say why."]}),
        "forbidden": Forbidden("Ask Finance operations.", permission="retry_step", owner="Finance operations"),
        "unavailable": Unavailable(retry_after=7),
        "fault": ZeroDivisionError("a secret detail"),
    }
    raise errors[how]


class Guarded(APIView):
    permission_classes = (HasRequiredRight,)
    required_permission = {"GET": Permission.VIEW_RUN, "POST": Permission.RETRY_STEP}

    def get(self, request: Request, key: str = "") -> Response:
        actor = actor_of(request)
        return Response({"actor": actor.label, "kind": actor.kind, "origin": actor.origin})

    def post(self, request: Request, key: str = "") -> Response:
        error: PortalError = InvalidInput(fields={"amount": ["Must be positive."]})
        raise error


urlpatterns = [
    path("ids/", ids),
    path("guarded/", guarded),
    path("guarded/<key>/", guarded),
    path("wrong/<how>/", going_wrong),
    path("api/v1/guarded/", Guarded.as_view()),
    path("api/v1/guarded/<key>/", Guarded.as_view()),
    path("", include("portal.urls")),
]
handler404 = "portal.core.error_pages.not_found"
handler500 = "portal.core.error_pages.server_error"
