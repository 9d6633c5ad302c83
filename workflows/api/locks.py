"""Reading locks, and breaking one."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.api_views import ActionView, CursorPages, GuardedList, StrictSerializer
from portal.core.idempotency import Answer
from portal.core.permissions import Permission
from workflows.locks.queries import taken_locks
from workflows.locks.services import break_lock
from workflows.models import ResourceLock


class LockSerializer(serializers.Serializer[ResourceLock]):
    """A lock, who holds it, and how many wait for it."""

    key = serializers.CharField()
    run = serializers.SerializerMethodField(help_text="The run that holds it; null if you may not see that.")
    step = serializers.CharField(help_text="The step of that run.")
    token = serializers.IntegerField(help_text="The fencing token: it grows each time the lock is taken.")
    since = serializers.DateTimeField()
    waiting_runs = serializers.IntegerField(source="waiting", default=0, help_text="Runs in its queue.")

    def get_run(self, lock: ResourceLock) -> str | None:
        """Return the run's id."""
        actor: Actor = self.context["actor"]
        return str(lock.run_id) if lock.run and may(actor, Permission.VIEW_RUN, lock.run) else None

    def to_representation(self, instance: ResourceLock) -> dict[str, Any]:
        """Count nobody as none."""
        shown: dict[str, Any] = super().to_representation(instance)
        return shown | {"waiting_runs": shown["waiting_runs"] or 0}


class BreakLockSerializer(StrictSerializer):
    """Take a lock from its holder."""

    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Goes into the audit trail.")
    expected_token = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=2**63 - 1,
        help_text="The `token` that you decided on; a lock that was taken anew since answers 409.",
    )


class BrokenLockSerializer(serializers.Serializer[Any]):
    """What became of a lock that was broken."""

    key = serializers.CharField()
    run = serializers.CharField(allow_null=True, help_text="Who has it now; null if nobody waited.")


class ByKey(CursorPages):
    """Locks by their keys."""

    ordering = "key"


class LockList(GuardedList):
    """The locks that are held or waited for by runs that you may see."""

    operation = "list_locks"
    summary = "List locks"
    required_permission = Permission.VIEW_RUN
    queryset = ResourceLock.objects.none()
    serializer_class = LockSerializer
    pagination_class = ByKey

    def get_queryset(self) -> QuerySet[ResourceLock]:
        """Return what the caller may see."""
        return taken_locks(self.actor)

    def get_serializer_context(self) -> dict[str, Any]:
        """Say who asks."""
        return super().get_serializer_context() | {"actor": self.actor}


class LockBreak(ActionView):
    """Takes the lock from the run that holds it and gives it to the next in the queue.

    The holder is not interrupted: what it has not committed yet is taken back, and its step waits its turn again.
    """

    operation = "break_lock"
    summary = "Break a lock"
    required_permission = Permission.BREAK_LOCK

    @extend_schema(
        parameters=[OpenApiParameter("key", str, OpenApiParameter.PATH, description="The lock's key.")],
        request=BreakLockSerializer,
        responses=BrokenLockSerializer,
    )
    def post(self, request: Request, key: str) -> Response:
        """Break it and return who has it now."""
        body = BreakLockSerializer(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            lock = break_lock(actor=self.actor, key=key, **body.validated_data)
            return Answer(200, {"key": lock.key, "run": str(lock.run_id) if lock.run_id else None})

        return self.once(request, act)
