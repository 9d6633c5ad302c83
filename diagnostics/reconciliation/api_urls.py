from __future__ import annotations

from django.urls import path

from diagnostics.reconciliation import api

urlpatterns = [
    path("", api.ReconciliationList.as_view(), name="api-reconciliation-list"),
    path("<slug:check>/", api.ReconciliationDetail.as_view(), name="api-reconciliation-detail"),
]
