"""What machines ask of this process: does it live, may it take work, what are its numbers."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from portal.web.health import readiness
from portal.web.metrics import registry


@login_not_required
@never_cache
@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """Answer that this process lives. Looks at nothing else: a lost database is no reason to be restarted."""
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer whether the portal may take work, check by check; 503 with what is wrong."""
    checks = readiness()
    ready = all(check.ok for check in checks)
    body = {
        "status": "ok" if ready else "unavailable",
        "checks": {check.name: {"ok": check.ok, "detail": check.detail} for check in checks},
    }
    response = JsonResponse(body, status=200 if ready else 503)
    # Who asks every few seconds keeps its own log; Django would write an error line for each answer of 503.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the portal's numbers for Prometheus; with METRICS_TOKEN set, only to who presents it."""
    if not _may_read_metrics(request):
        return HttpResponse(
            "Send METRICS_TOKEN as a bearer token. In production /metrics stays closed until that is set.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": "Bearer"},
        )
    try:
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except Error:
        return HttpResponse("The database does not answer.\n", status=503, content_type="text/plain; charset=utf-8")


def _may_read_metrics(request: HttpRequest) -> bool:
    if not settings.METRICS_TOKEN:
        return settings.ENVIRONMENT in {"development", "test"}
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
