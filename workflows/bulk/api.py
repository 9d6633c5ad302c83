"""Bulk operations in the API: the same services as the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.api_views import ActionView, CursorPages, GuardedList, GuardedView
from portal.core.idempotency import Answer
from portal.core.permissions import Permission
from workflows.bulk import services
from workflows.bulk.access import access_operation, visible_operations
from workflows.bulk.preview import Selection, dry_run
from workflows.bulk.queries import operation_items, operation_rows
from workflows.bulk.serializers import (
    BulkHandSerializer,
    BulkItemSerializer,
    BulkOperationDetailSerializer,
    BulkOperationSerializer,
    DryRunSerializer,
    StartOperationSerializer,
)
from workflows.models import BulkItem, BulkOperation


class ByIdentity(CursorPages):
    """Newest first: ids grow with time."""

    ordering = "-id"


class ByPosition(CursorPages):
    """In the order in which they are done."""

    ordering = "position"


class OperationList(GuardedList, ActionView):
    """The bulk operations that you may see, newest first."""

    operation = "list_bulk_operations"
    summary = "List bulk operations"
    required_permission = {  # type: ignore[assignment]  # one right for each method
        "GET": Permission.VIEW_RUN,
        "POST": Permission.START_BULK_OPERATION,
    }
    queryset = BulkOperation.objects.none()
    serializer_class = BulkOperationSerializer
    pagination_class = ByIdentity
    body_class = StartOperationSerializer

    def get_queryset(self) -> QuerySet[BulkOperation]:
        """Return what the caller may see."""
        return visible_operations(self.actor)

    @extend_schema(
        operation_id="start_bulk_operation",
        summary="Dry-run or start a bulk operation",
        description=(
            "With `dry_run` (the default) nothing happens: you get exact counts. To start, send the same again with "
            "`dry_run: false`, a `reason`, and the `count` and `digest` of the dry run; if the command would touch "
            "other things by now, the answer is 409 and nothing happens."
        ),
        responses={
            200: OpenApiResponse(DryRunSerializer, "The dry run"),
            201: OpenApiResponse(BulkOperationSerializer, "The operation, running or waiting for approval"),
        },
    )
    def post(self, request: Request) -> Response:
        """Return the dry run, or the operation."""
        body = StartOperationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data
        selection = Selection(values["kind"], values["command"], values["filter"], tuple(values["ids"]))
        if values["dry_run"]:
            return Response(DryRunSerializer(dry_run(self.actor, selection).facts()).data)
        return self.once(request, lambda: self._start(selection, values))

    def _start(self, selection: Selection, values: dict[str, Any]) -> Answer:
        started = services.start_operation(
            actor=self.actor,
            selection=selection,
            expected=services.Expected(values["expected_count"], values["expected_digest"]),
            reason=values["reason"],
            per_minute=values.get("per_minute"),
        )
        return Answer(201, BulkOperationSerializer(started.operation).data)


class OperationDetail(GuardedView):
    """How far an operation has come, and the dry run that was confirmed."""

    operation = "get_bulk_operation"
    summary = "Read a bulk operation"
    required_permission = Permission.VIEW_RUN

    @extend_schema(responses=BulkOperationDetailSerializer)
    def get(self, request: Request, operation_id: UUID) -> Response:
        """Return the operation."""
        row = operation_rows([access_operation(self.actor, operation_id)])[0]
        return Response(BulkOperationDetailSerializer(row.operation, context={"counts": row.counts}).data)


class OperationItems(GuardedList):
    """What an operation touches, and what became of each."""

    operation = "list_bulk_operation_items"
    summary = "List the items of a bulk operation"
    required_permission = Permission.VIEW_RUN
    queryset = BulkItem.objects.none()
    serializer_class = BulkItemSerializer
    pagination_class = ByPosition

    def get_queryset(self) -> QuerySet[BulkItem]:
        """Return what the caller may see."""
        return operation_items(self.actor, self.kwargs["operation_id"])


class OperationHand(ActionView):
    """A command on one operation. Subclasses name the service that carries it out."""

    service: ClassVar[Callable[..., BulkOperation]]
    required_permission = Permission.START_BULK_OPERATION
    body_class = BulkHandSerializer

    @extend_schema(responses=BulkOperationSerializer)
    def post(self, request: Request, operation_id: UUID) -> Response:
        """Carry the command out and return the operation as it is then."""
        body = BulkHandSerializer(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            changed = type(self).service(actor=self.actor, operation_id=operation_id, **body.validated_data)
            return Answer(200, BulkOperationSerializer(changed).data)

        return self.once(request, act)


class Pause(OperationHand):
    """Touches nothing more until somebody continues."""

    operation = "pause_bulk_operation"
    summary = "Pause a bulk operation"
    service = staticmethod(services.pause_operation)


class Continue(OperationHand):
    """Goes on after a pause or a halt; after a halt you vouch for what surprised."""

    operation = "continue_bulk_operation"
    summary = "Continue a bulk operation"
    service = staticmethod(services.continue_operation)


class Stop(OperationHand):
    """Ends it for good; what is done stays done."""

    operation = "stop_bulk_operation"
    summary = "Stop a bulk operation"
    service = staticmethod(services.stop_operation)


class Approve(OperationHand):
    """Lets an operation start that somebody else asked for."""

    operation = "approve_bulk_operation"
    summary = "Approve a bulk operation"
    required_permission = Permission.APPROVE_BULK_OPERATION
    service = staticmethod(services.approve_operation)


class Reject(OperationHand):
    """Refuses an operation that waits for approval."""

    operation = "reject_bulk_operation"
    summary = "Reject a bulk operation"
    required_permission = Permission.APPROVE_BULK_OPERATION
    service = staticmethod(services.reject_operation)
