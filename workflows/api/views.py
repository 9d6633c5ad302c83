"""Reading workflows, runs and dependencies."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.api_views import CursorPages, GuardedList, GuardedView, check_parameters
from portal.core.permissions import Permission
from workflows.api.serializers import (
    DependencySerializer,
    EventSerializer,
    RollbackPreviewSerializer,
    RunDetailSerializer,
    RunSerializer,
    WorkflowDetailSerializer,
    WorkflowSerializer,
)
from workflows.filters import RunFilter
from workflows.models import Dependency, Run, RunEvent, Workflow
from workflows.queries.records import (
    run_events,
    run_record,
    visible_workflows,
    waiting_runs,
    workflow_record,
)
from workflows.queries.runs import visible_runs
from workflows.services import available_commands, preview_rollback


class ByIdentity(CursorPages):
    """Newest first: ids grow with time."""

    ordering = "-id"


class ByNumber(CursorPages):
    """Events in the order in which they happened."""

    ordering = "number"


class BySlug(CursorPages):
    """Workflows by name."""

    ordering = "slug"


class ByName(CursorPages):
    """Dependencies by name."""

    ordering = "name"


class WorkflowList(GuardedList):
    """The workflows that you may see."""

    operation = "list_workflows"
    summary = "List workflows"
    required_permission = Permission.VIEW_WORKFLOW
    queryset = Workflow.objects.none()
    serializer_class = WorkflowSerializer
    pagination_class = BySlug

    def get_queryset(self) -> QuerySet[Workflow]:
        """Return what the caller may see."""
        return visible_workflows(self.actor)


class WorkflowDetail(GuardedView):
    """One workflow, with the definition of its latest version."""

    operation = "get_workflow"
    summary = "Read a workflow"
    required_permission = Permission.VIEW_WORKFLOW

    @extend_schema(
        responses=WorkflowDetailSerializer,
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return the workflow; `definition.input.schema` is what the input of a run is checked against."""
        return Response(WorkflowDetailSerializer(workflow_record(self.actor, slug)).data)


class RunList(GuardedList):
    """The runs that you may see, newest first; the same filters as on the page /runs/."""

    operation = "list_runs"
    summary = "List runs"
    required_permission = Permission.VIEW_RUN
    queryset = Run.objects.none()
    serializer_class = RunSerializer
    pagination_class = ByIdentity
    filterset_class = RunFilter

    def get_queryset(self) -> QuerySet[Run]:
        """Return what the caller may see."""
        return visible_runs(self.actor).defer("input", "output", "error")


class RunDetail(GuardedView):
    """One run with everything below it."""

    operation = "get_run"
    summary = "Read a run"
    required_permission = Permission.VIEW_RUN

    @extend_schema(responses=RunDetailSerializer)
    def get(self, request: Request, run_id: UUID) -> Response:
        """Return the run with its steps, their attempts, and what you can do with it."""
        record = run_record(self.actor, run_id)
        commands = available_commands(self.actor, record.run, record.checkpoints)
        return Response(RunDetailSerializer(record, context={"commands": commands}).data)


class RunEventList(GuardedList):
    """What happened to a run, first event first."""

    operation = "list_run_events"
    summary = "Read a run's history"
    required_permission = Permission.VIEW_RUN
    queryset = RunEvent.objects.none()
    serializer_class = EventSerializer
    pagination_class = ByNumber

    def get_queryset(self) -> QuerySet[RunEvent]:
        """Return what the caller may see."""
        return run_events(self.actor, self.kwargs["run_id"])


class RollbackPreview(GuardedView):
    """What a rollback would undo, and what it could not."""

    operation = "preview_rollback"
    summary = "Preview a rollback"
    required_permission = Permission.VIEW_RUN

    @extend_schema(
        parameters=[OpenApiParameter("to_step", str, description="Stop after this step, which stays done.")],
        responses=RollbackPreviewSerializer,
    )
    def get(self, request: Request, run_id: UUID) -> Response:
        """Return what would be undone, without undoing it."""
        check_parameters(request, {"to_step"})
        to_step = request.query_params.get("to_step") or None
        preview = preview_rollback(actor=self.actor, run_id=run_id, to_step=to_step)
        return Response(RollbackPreviewSerializer(preview).data)


class DependencyList(GuardedList):
    """The services that steps call, with their circuit breakers."""

    operation = "list_dependencies"
    summary = "List dependencies"
    required_permission = Permission.VIEW_WORKFLOW
    serializer_class = DependencySerializer
    pagination_class = ByName
    queryset = Dependency.objects.all()

    def get_serializer_context(self) -> dict[str, Any]:
        """Add how many runs wait for each."""
        return super().get_serializer_context() | {"waiting_runs": waiting_runs(self.actor)}
