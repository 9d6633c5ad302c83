from __future__ import annotations

from django.urls import path

from diagnostics.reconciliation import views

urlpatterns = [
    path("", views.reconciliations, name="reconciliation-list"),
    path("<slug:check>/", views.reconciliation, name="reconciliation-detail"),
    path("<slug:check>/compare/", views.compare, name="reconciliation-compare"),
]
