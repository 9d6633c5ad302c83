"""Schedules over the API: the same services as the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.api_views import ActionView, GuardedView, StrictSerializer, check_parameters
from portal.core.idempotency import Answer
from portal.core.permissions import Permission
from workflows.api.serializers import RunSerializer
from workflows.schedules import services
from workflows.schedules.queries import ScheduleView, access_schedule, schedule_list


class ScheduleSerializer(serializers.Serializer[ScheduleView]):
    """A schedule of a workflow."""

    workflow = serializers.CharField(source="row.workflow.slug")
    name = serializers.CharField(source="row.name")
    cron = serializers.CharField(source="row.cron")
    zone = serializers.CharField(source="row.zone")
    words = serializers.CharField(help_text="When it is due, in words.")
    clock_note = serializers.CharField(help_text="What the zone's next change of clocks does to it.")
    catch_up = serializers.CharField(source="row.catch_up", help_text="`skip`, `latest` or `all` of missed times.")
    overlap = serializers.CharField(source="row.overlap", help_text="`skip`, `queue` or `allow`.")
    next_at = serializers.DateTimeField(allow_null=True)
    paused_at = serializers.DateTimeField(source="row.paused_at", allow_null=True)
    paused_until = serializers.DateTimeField(source="row.paused_until", allow_null=True)
    paused_reason = serializers.CharField(source="row.paused_reason")


class MissedSerializer(serializers.Serializer[Any]):
    """A time at which nothing was started."""

    workflow = serializers.CharField(source="schedule.workflow.slug")
    name = serializers.CharField(source="schedule.name")
    due_at = serializers.DateTimeField()
    why = serializers.CharField()


class ScheduleListSerializer(serializers.Serializer[Any]):
    """Every schedule, what runs next first, and the latest times that were missed."""

    schedules = ScheduleSerializer(many=True)
    missed = MissedSerializer(many=True)


class ScheduleReasonSerializer(StrictSerializer):
    """A command that needs no more than its reason."""

    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Goes into the audit trail.")


class PauseSerializer(ScheduleReasonSerializer):
    """Pause a schedule."""

    until = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="Without it: until somebody resumes it."
    )


class ScheduleList(GuardedView):
    """The schedules of the workflows that you may see, and what was missed. Not in pages: there are few."""

    operation = "list_schedules"
    summary = "List schedules"
    required_permission = Permission.VIEW_WORKFLOW

    @extend_schema(responses=ScheduleListSerializer)
    def get(self, request: Request) -> Response:
        """Return all of them."""
        check_parameters(request, set())
        return Response(ScheduleListSerializer(schedule_list(self.actor)).data)


class ScheduleCommand(ActionView):
    """A command on one schedule."""

    service: ClassVar[Callable[..., object]]
    body_class: ClassVar[type[ScheduleReasonSerializer]] = ScheduleReasonSerializer

    @extend_schema(responses=ScheduleSerializer)
    def post(self, request: Request, slug: str, schedule: str) -> Response:
        """Carry the command out and return the schedule as it is then."""
        body = self.body_class(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            type(self).service(actor=self.actor, workflow=slug, name=schedule, **body.validated_data)
            return Answer(200, ScheduleSerializer(access_schedule(self.actor, slug, schedule)).data)

        return self.once(request, act)


class SchedulePause(ScheduleCommand):
    """Starts nothing until a time, or until somebody resumes it; times in between are passed over."""

    operation = "pause_schedule"
    summary = "Pause a schedule"
    required_permission = Permission.PAUSE_WORKFLOW
    service = staticmethod(services.pause_schedule)
    body_class = PauseSerializer


class ScheduleResume(ScheduleCommand):
    """Goes on with its next time."""

    operation = "resume_schedule"
    summary = "Resume a schedule"
    required_permission = Permission.PAUSE_WORKFLOW
    service = staticmethod(services.resume_schedule)


class ScheduleRunNow(ActionView):
    """Starts a run with the input that the schedule makes for this moment; its times stay."""

    operation = "run_schedule_now"
    summary = "Run a schedule now"
    required_permission = Permission.START_RUN
    body_class = ScheduleReasonSerializer

    @extend_schema(responses={201: RunSerializer})
    def post(self, request: Request, slug: str, schedule: str) -> Response:
        """Return the new run."""
        body = ScheduleReasonSerializer(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            run = services.start_schedule_now(actor=self.actor, workflow=slug, name=schedule, **body.validated_data)
            return Answer(201, RunSerializer(run).data)

        return self.once(request, act)
