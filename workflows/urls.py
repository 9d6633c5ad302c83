"""Pages of workflows and runs."""

from __future__ import annotations

from django.urls import path

from workflows.views import runs, start
from workflows.views.actions import COMMANDS, command_view

urlpatterns = [
    path("workflows/<slug:slug>/start/", start.workflow_start, name="workflow-start"),
    path("runs/", runs.run_list_page, name="run-list"),
    path("runs/export/", runs.run_export, name="run-export"),
    path("runs/<uuid:run_id>/", runs.run_detail, name="run-detail"),
    *(path(f"runs/<uuid:run_id>/{c.name}/", command_view(c), name=f"run-{c.name}") for c in COMMANDS),
]
