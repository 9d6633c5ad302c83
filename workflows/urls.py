"""Pages of workflows and runs."""

from __future__ import annotations

from django.urls import path

from workflows.views import catalogue, holding, items, runs, saved_views, start
from workflows.views.actions import COMMANDS, command_view

urlpatterns = [
    path("workflows/", catalogue.workflow_list, name="workflow-list"),
    path("workflows/<slug:slug>/", catalogue.workflow_detail, name="workflow-detail"),
    path("workflows/<slug:slug>/_map/", catalogue.workflow_map_fragment, name="workflow-map-fragment"),
    path("workflows/<slug:slug>/history/", catalogue.workflow_history_page, name="workflow-history"),
    path("workflows/<slug:slug>/versions/", catalogue.workflow_versions_page, name="workflow-versions"),
    path("workflows/<slug:slug>/pause/", holding.workflow_pause, name="workflow-pause"),
    path("workflows/<slug:slug>/resume/", holding.workflow_resume, name="workflow-resume"),
    path("workflows/<slug:slug>/start/", start.workflow_start, name="workflow-start"),
    path("runs/", runs.run_list_page, name="run-list"),
    path("runs/export/", runs.run_export, name="run-export"),
    path("runs/views/", saved_views.run_views, name="run-views"),
    path("runs/views/new/", saved_views.run_view_new, name="run-view-new"),
    path("runs/views/<uuid:view_id>/remove/", saved_views.run_view_remove, name="run-view-remove"),
    path("runs/<uuid:run_id>/", runs.run_detail, name="run-detail"),
    path("runs/<uuid:run_id>/steps/<str:step>/items/", items.run_items, name="run-items"),
    *(path(f"runs/<uuid:run_id>/{c.name}/", command_view(c), name=f"run-{c.name}") for c in COMMANDS),
]
