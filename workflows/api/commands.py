"""Starting runs and commanding them: the same services as the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.api_views import ActionView, answered
from portal.core.idempotency import Answer, checked_key
from portal.core.permissions import Permission
from workflows import services
from workflows.api.serializers import (
    DecideSerializer,
    ReasonSerializer,
    RollbackSerializer,
    RunSerializer,
    SkipSerializer,
    StartSerializer,
    StepReasonSerializer,
)
from workflows.models import Run


class RunStart(ActionView):
    """Start a run, or get the one that this workflow has under the same Idempotency-Key.

    The key is kept with the run, for as long as there is the run, and whoever started it. The answer to a repeated
    request is the first run as it is now.
    """

    operation = "start_run"
    summary = "Start a run"
    required_permission = Permission.START_RUN
    body_class = StartSerializer

    @extend_schema(
        responses={
            201: OpenApiResponse(RunSerializer, "The new run"),
            200: OpenApiResponse(RunSerializer, "The run that was started with this Idempotency-Key before"),
        },
    )
    def post(self, request: Request, slug: str) -> Response:
        """Return the new run, or the first one."""
        body = StartSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        key = checked_key(request.headers.get("Idempotency-Key"))
        started = services.start_run(actor=self.actor, workflow=slug, idempotency_key=key, **body.validated_data)
        return answered(Answer(201 if started.created else 200, RunSerializer(started.run).data, not started.created))


class RunCommand(ActionView):
    """A command on one run. Subclasses name the service that carries it out and the shape of its body."""

    service: ClassVar[Callable[..., Run]]
    body_class: ClassVar[type[ReasonSerializer]] = ReasonSerializer

    @extend_schema(responses=RunSerializer)
    def post(self, request: Request, run_id: UUID) -> Response:
        """Carry the command out and return the run as it is then."""
        body = self.body_class(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            run = type(self).service(actor=self.actor, run_id=run_id, **body.validated_data)
            return Answer(200, RunSerializer(run).data)

        return self.once(request, act)


class Resume(RunCommand):
    """Goes on after the last checkpoint; what was done is not done again."""

    operation = "resume_run"
    summary = "Resume a run"
    required_permission = Permission.RESUME_RUN
    service = staticmethod(services.resume_run)


class Approve(RunCommand):
    """Says yes to what the run asks; it goes on."""

    operation = "approve_step"
    summary = "Approve what a run asks"
    required_permission = Permission.APPROVE_STEP
    service = staticmethod(services.approve_step)


class Reject(RunCommand):
    """Says no to what the run asks. Its workflow says whether that ends it, or it goes on with the no."""

    operation = "reject_step"
    summary = "Reject what a run asks"
    required_permission = Permission.APPROVE_STEP
    service = staticmethod(services.reject_step)


class Retry(RunCommand):
    """Runs a step and all that come after it again."""

    operation = "retry_from_step"
    summary = "Retry from a step"
    required_permission = Permission.RETRY_STEP
    service = staticmethod(services.retry_from_step)
    body_class = StepReasonSerializer


class Skip(RunCommand):
    """Goes on without a step; with an output if a later step takes it."""

    operation = "skip_step"
    summary = "Skip a step"
    required_permission = Permission.SKIP_STEP
    service = staticmethod(services.skip_step)
    body_class = SkipSerializer


class Decide(RunCommand):
    """Says whether the effect of a step took place, when nobody but a person can find out."""

    operation = "decide_step"
    summary = "Decide an uncertain step"
    required_permission = Permission.DECIDE_STEP
    service = staticmethod(services.decide_step)
    body_class = DecideSerializer


class Pause(RunCommand):
    """Stops at the next checkpoint, until somebody resumes it."""

    operation = "pause_run"
    summary = "Pause a run"
    required_permission = Permission.PAUSE_RUN
    service = staticmethod(services.pause_run)


class Cancel(RunCommand):
    """Ends it where it is; nothing is undone."""

    operation = "cancel_run"
    summary = "Cancel a run"
    required_permission = Permission.CANCEL_RUN
    service = staticmethod(services.cancel_run)


class Rollback(RunCommand):
    """Undoes what was done, in reverse order. The preview tells what cannot be undone."""

    operation = "roll_back_run"
    summary = "Roll a run back"
    required_permission = Permission.ROLL_BACK_RUN
    service = staticmethod(services.roll_back_run)
    body_class = RollbackSerializer
