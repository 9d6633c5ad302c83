"""The API, below /api/v1/."""

from __future__ import annotations

from django.urls import include, path, re_path

from portal.web import api

urlpatterns = [
    path("schema/", api.SchemaView.as_view(), name="api-schema"),
    path("docs/", api.reference, name="api-reference"),
    path("", include("workflows.api.urls")),
    path("bulk-operations/", include("workflows.bulk.api_urls")),
    path("dead-letters/", include("workflows.deadletters.api_urls")),
    path("", include("workflows.events.pages.api_urls")),
    path("reconciliations/", include("diagnostics.reconciliation.api_urls")),
    path("audit/", api.AuditList.as_view(), name="api-audit-list"),
    re_path(r"^(?P<rest>.*)$", api.no_such_address),
]
