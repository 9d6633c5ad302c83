"""Where every page, fragment and API endpoint lives."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("portal.web.urls")),
    path("", include("workflows.urls")),
    path("dependencies/", include("workflows.dependencies.urls")),
    path("bulk/", include("workflows.bulk.urls")),
    path("locks/", include("workflows.locks.urls")),
    path("schedules/", include("workflows.schedules.urls")),
    path("dead-letters/", include("workflows.deadletters.urls")),
    path("", include("workflows.events.pages.urls")),
    path("reconciliation/", include("diagnostics.reconciliation.urls")),
    path("api/v1/", include("portal.web.api_urls")),
    *([path("", include("portal.demo.urls"))] if settings.DEMO else []),
]

handler400 = "portal.core.error_pages.bad_request"
handler403 = "portal.core.error_pages.permission_denied"
handler404 = "portal.core.error_pages.not_found"
handler500 = "portal.core.error_pages.server_error"
