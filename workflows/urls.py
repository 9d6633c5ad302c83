"""Pages of workflows and runs."""

from __future__ import annotations

from django.urls import path

from workflows.views import runs

urlpatterns = [
    path("runs/", runs.run_list_page, name="run-list"),
    path("runs/export/", runs.run_export, name="run-export"),
    path("runs/<uuid:run_id>/", runs.run_detail, name="run-detail"),
]
