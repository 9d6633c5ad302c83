"""Errors as pages and fragments: what happened, the request id, what to do. Existence is never revealed."""

from __future__ import annotations

from urllib.parse import urlsplit

import structlog
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django.utils.http import urlencode
from django.views.decorators.csrf import requires_csrf_token

from portal.core.correlation import current_correlation_id
from portal.core.errors import Forbidden, InvalidInput, NotAuthenticated, NotFound, PortalError
from portal.core.problem import CONTENT_TYPE, headers_of, problem_of

log = structlog.get_logger(__name__)
TITLES = {
    400: "That request cannot be read",
    403: "You may not do that",
    404: "There is nothing here",
    409: "That does not fit the present state",
    422: "Something in the form is not right",
    429: "Too many requests",
    500: "Something broke on our side",
    503: "A service that this needs does not answer",
}
ICONS = {403: "lock", 404: "search"}


class BadRequest(PortalError):
    """The request is malformed."""

    code = "bad-request"
    http_status = 400


def error_response(request: HttpRequest, error: PortalError) -> HttpResponse:
    """Return ``error`` as problem document under /api/, as fragment for htmx, else as page with navigation."""
    if request.path.startswith("/api/"):
        return JsonResponse(
            problem_of(error, request.path),
            status=error.http_status,
            headers=headers_of(error),
            content_type=CONTENT_TYPE,
        )
    if isinstance(error, NotAuthenticated):
        return login_response(request)
    is_htmx = request.headers.get("HX-Request") == "true"
    context = {
        "title": TITLES.get(error.http_status, "That did not work"),
        "icon": ICONS.get(error.http_status, "circle-x"),
        "message": error.message,
        "fields": error.fields if isinstance(error, InvalidInput) else {},
        "permission": error.context.get("permission", ""),
        "owner": error.context.get("owner", ""),
        "request_id": current_correlation_id(),
    }
    template = "errors/_error.html" if is_htmx else "errors/error.html"
    response = render(request, template, context, status=error.http_status)
    for name, value in headers_of(error).items():
        response[name] = value
    patch_vary_headers(response, ["HX-Request"])
    return response


def login_response(request: HttpRequest) -> HttpResponse:
    """Send a person to the login page and back; htmx is told to take the whole page there."""
    if request.headers.get("HX-Request") != "true":
        return redirect_to_login(request.get_full_path())
    here = urlsplit(request.headers.get("HX-Current-URL", ""))
    back = here._replace(scheme="", netloc="").geturl() or request.get_full_path()
    login = f"{resolve_url('login')}?{urlencode({'next': back})}"
    return HttpResponse(status=401, headers={"HX-Redirect": login})


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django calls suspicious (``handler400``)."""
    return error_response(request, BadRequest())


@requires_csrf_token
def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer Django's own PermissionDenied (``handler403``)."""
    return error_response(request, Forbidden())


@requires_csrf_token
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that leads nowhere (``handler404``)."""
    return error_response(request, NotFound())


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of our own (``handler500``), without navigation if that is what is broken."""
    error = PortalError("The fault has been logged under the request id below. Trying again may help.")
    try:
        return error_response(request, error)
    except Exception:
        log.exception("error_page_failed")
        page = render_to_string("errors/plain.html", {"request_id": current_correlation_id()})
        return HttpResponse(page, status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that was not sent from our own page (``CSRF_FAILURE_VIEW``)."""
    log.warning("csrf_failure", reason=reason)
    return error_response(request, Forbidden("This form is out of date. Reload the page and send it again."))
