"""The request's edges: its correlation id and log line on the way in and out, and errors as answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from portal.core.correlation import HEADER, accept_correlation_id, accept_trace_id, correlated
from portal.core.error_pages import error_response, login_response
from portal.core.errors import Forbidden, PortalError
from portal.core.services.refusals import record_refusal

log = structlog.get_logger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponse]
QUIET = ("/livez", "/readyz", "/metrics", "/static/")
READING = ("GET", "HEAD", "OPTIONS")


class CorrelationMiddleware:
    """Takes or makes the correlation id, keeps it in force for the request, returns it, logs the request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        trace_id = accept_trace_id(request.headers.get("traceparent"))
        correlation_id = accept_correlation_id(request.headers.get(HEADER) or trace_id)
        started = time.perf_counter()
        with correlated(correlation_id, trace_id):
            try:
                response = self.get_response(request)
                _log_request(request, response, time.perf_counter() - started)
            finally:
                # a thread's context outlives the request
                structlog.contextvars.clear_contextvars()
        response[HEADER] = correlation_id
        return response


class LoginMiddleware(LoginRequiredMiddleware):
    """Every page needs a signed-in person unless it says ``@login_not_required``."""

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        if request.user.is_authenticated:
            structlog.contextvars.bind_contextvars(user=request.user.get_username())
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(  # type: ignore[override]  # the stubs know of redirects only
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase]
    ) -> HttpResponseBase:
        return login_response(request)


class ErrorMiddleware:
    """Answers our own errors; all others go on to Django's handlers."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, PortalError):
            return None
        if isinstance(exception, Forbidden) and request.method not in READING:
            record_refusal(request, exception)
        log.info("request_refused", code=exception.code, message=exception.message, **exception.context)
        return error_response(request, exception)


def _log_request(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    # Live regions poll: their reads would drown what people do.
    is_poll = request.method == "GET" and request.headers.get("HX-Request") == "true"
    write = log.debug if is_poll or request.path.startswith(QUIET) else log.info
    write(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        duration_ms=round(seconds * 1000, 1),
    )
