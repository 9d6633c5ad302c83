"""Holding a workflow: new runs are accepted, but start only when it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.api_views import ActionView, StrictSerializer
from portal.core.idempotency import Answer
from portal.core.permissions import Permission
from workflows.api.serializers import WorkflowSerializer
from workflows.models import Workflow
from workflows.services import pause_workflow, resume_workflow


class HoldSerializer(StrictSerializer):
    """Why."""

    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Goes into the audit trail.")


class WorkflowCommand(ActionView):
    """A command on one workflow. Subclasses name the service that carries it out."""

    service: ClassVar[Callable[..., Workflow]]
    required_permission = Permission.PAUSE_WORKFLOW
    body_class = HoldSerializer

    @extend_schema(responses=WorkflowSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Carry the command out and return the workflow as it is then."""
        body = HoldSerializer(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            workflow = type(self).service(actor=self.actor, slug=slug, **body.validated_data)
            return Answer(200, WorkflowSerializer(workflow).data)

        return self.once(request, act)


class WorkflowPause(WorkflowCommand):
    """Accepts new runs but holds them; runs that are under way go on."""

    operation = "pause_workflow"
    summary = "Hold new runs of a workflow"
    service = staticmethod(pause_workflow)


class WorkflowResume(WorkflowCommand):
    """Lets new runs start again, those that were held first."""

    operation = "resume_workflow"
    summary = "Let new runs of a workflow start"
    service = staticmethod(resume_workflow)
