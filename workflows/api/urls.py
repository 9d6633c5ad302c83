"""The API's addresses of workflows, runs and dependencies, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from workflows.api import commands, dependencies, events, holding, items, locks, views
from workflows.locks.keys import LOCK_KEY
from workflows.schedules import api as schedules

urlpatterns = [
    path("workflows/", views.WorkflowList.as_view(), name="api-workflow-list"),
    path("workflows/<slug:slug>/", views.WorkflowDetail.as_view(), name="api-workflow-detail"),
    path("workflows/<slug:slug>/runs/", commands.RunStart.as_view(), name="api-run-start"),
    path("workflows/<slug:slug>/pause/", holding.WorkflowPause.as_view(), name="api-workflow-pause"),
    path("workflows/<slug:slug>/resume/", holding.WorkflowResume.as_view(), name="api-workflow-resume"),
    path("runs/", views.RunList.as_view(), name="api-run-list"),
    path("runs/<uuid:run_id>/", views.RunDetail.as_view(), name="api-run-detail"),
    path("runs/<uuid:run_id>/steps/<str:step>/items/", items.ItemList.as_view(), name="api-run-items"),
    path("runs/<uuid:run_id>/events/", views.RunEventList.as_view(), name="api-run-events"),
    path("runs/<uuid:run_id>/rollback-preview/", views.RollbackPreview.as_view(), name="api-run-rollback-preview"),
    path("runs/<uuid:run_id>/resume/", commands.Resume.as_view(), name="api-run-resume"),
    path("runs/<uuid:run_id>/retry/", commands.Retry.as_view(), name="api-run-retry"),
    path("runs/<uuid:run_id>/skip/", commands.Skip.as_view(), name="api-run-skip"),
    path("runs/<uuid:run_id>/decide/", commands.Decide.as_view(), name="api-run-decide"),
    path("runs/<uuid:run_id>/approve/", commands.Approve.as_view(), name="api-run-approve"),
    path("runs/<uuid:run_id>/reject/", commands.Reject.as_view(), name="api-run-reject"),
    path("runs/<uuid:run_id>/pause/", commands.Pause.as_view(), name="api-run-pause"),
    path("runs/<uuid:run_id>/cancel/", commands.Cancel.as_view(), name="api-run-cancel"),
    path("runs/<uuid:run_id>/rollback/", commands.Rollback.as_view(), name="api-run-rollback"),
    path("locks/", locks.LockList.as_view(), name="api-lock-list"),
    path(f"locks/{LOCK_KEY}/break/", locks.LockBreak.as_view(), name="api-lock-break"),
    path("events/", events.EventEmit.as_view(), name="api-event-emit"),
    path("schedules/", schedules.ScheduleList.as_view(), name="api-schedule-list"),
    path(
        "schedules/<slug:slug>/<slug:schedule>/pause/", schedules.SchedulePause.as_view(), name="api-schedule-pause"
    ),
    path(
        "schedules/<slug:slug>/<slug:schedule>/resume/",
        schedules.ScheduleResume.as_view(),
        name="api-schedule-resume",
    ),
    path(
        "schedules/<slug:slug>/<slug:schedule>/run-now/",
        schedules.ScheduleRunNow.as_view(),
        name="api-schedule-run-now",
    ),
    path("dependencies/", views.DependencyList.as_view(), name="api-dependency-list"),
    path("dependencies/<slug:name>/", dependencies.DependencyRead.as_view(), name="api-dependency-detail"),
    path("dependencies/<slug:name>/hold-open/", dependencies.HoldOpen.as_view(), name="api-dependency-hold-open"),
    path(
        "dependencies/<slug:name>/hold-closed/", dependencies.HoldClosed.as_view(), name="api-dependency-hold-closed"
    ),
    path("dependencies/<slug:name>/reset/", dependencies.Reset.as_view(), name="api-dependency-reset"),
]
