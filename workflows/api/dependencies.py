"""One dependency, and a person's or program's hand on its breaker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.actor import Actor
from portal.core.api_views import ActionView, GuardedView, StrictSerializer
from portal.core.idempotency import Answer
from portal.core.permissions import Permission
from workflows.api.serializers import DependencySerializer
from workflows.dependencies.breaker import State
from workflows.dependencies.queries import DependencyDetail as Detail
from workflows.dependencies.queries import dependency_detail, waiting_runs
from workflows.dependencies.services import force_breaker, reset_breaker
from workflows.models import Dependency


class PolicySerializer(serializers.Serializer[Any]):
    """What a dependency is declared with. Times in seconds."""

    availability = serializers.FloatField(help_text="Promised share of good answers.")
    timeout_seconds = serializers.FloatField()
    failure_rate = serializers.FloatField(help_text="The breaker opens at this share of failed calls.")
    slow_rate = serializers.FloatField()
    slow_after_seconds = serializers.FloatField()
    minimum_calls = serializers.IntegerField()
    window_seconds = serializers.FloatField()
    open_seconds = serializers.FloatField()
    open_at_most_seconds = serializers.FloatField()
    probes = serializers.IntegerField()
    max_concurrency = serializers.IntegerField(allow_null=True, help_text="Calls at once; null for no limit.")
    rate_calls = serializers.IntegerField(
        allow_null=True, help_text="Calls in `rate_per_seconds`; null for no limit."
    )
    rate_per_seconds = serializers.FloatField()
    rate_burst = serializers.IntegerField()


class ObservedSerializer(serializers.Serializer[Any]):
    """What the calls of the last seven days say about it; null where there were none."""

    calls = serializers.IntegerField()
    availability = serializers.FloatField(allow_null=True)
    mean_seconds = serializers.FloatField(allow_null=True)
    slow = serializers.FloatField(allow_null=True, help_text="Share of calls slower than `slow_after_seconds`.")


class NeedSerializer(serializers.Serializer[Any]):
    """What a workflow needs of it to keep its own promise, as if calls failed independently of each other."""

    workflow = serializers.CharField(source="slug")
    objective = serializers.FloatField(source="need.objective")
    expected = serializers.FloatField(source="need.expected", help_text="If all its services keep their promises.")
    of_each_call = serializers.FloatField(
        source="need.of_each_call", allow_null=True, help_text="Share to be answered well; null if all is not enough."
    )
    is_promised = serializers.BooleanField(source="need.is_promised")


class DependencyDetailSerializer(serializers.Serializer[Detail]):
    """A dependency with its limits, promises and what was observed."""

    policy = PolicySerializer(source="view.policy")
    observed = ObservedSerializer()
    needs = NeedSerializer(many=True)

    def to_representation(self, instance: Detail) -> dict[str, Any]:
        """Flatten the row."""
        context = {"waiting_runs": {instance.view.row.name: instance.view.waiting}}
        return {
            **DependencySerializer(instance.view.row, context=context).data,
            **super().to_representation(instance),
        }


class DependencyDetailSchema(DependencySerializer):
    """A dependency with its limits, promises and what was observed."""

    policy = PolicySerializer()
    observed = ObservedSerializer()
    needs = NeedSerializer(many=True)


class ResetSerializer(StrictSerializer):
    """A command on a breaker."""

    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Goes into the audit trail.")
    expected_since = serializers.DateTimeField(
        source="seen_since",
        required=False,
        allow_null=True,
        default=None,
        help_text="The `state_since` that you decided on; a breaker that has moved since answers 409.",
    )


class HoldBreakerSerializer(ResetSerializer):
    """Hold a breaker until a time."""

    until = serializers.DateTimeField(help_text="When it ends by itself; at most seven days away.")


class DependencyRead(GuardedView):
    """One dependency: its breaker, its limits, what it promises and gives, and what workflows need of it."""

    operation = "get_dependency"
    summary = "Read a dependency"
    required_permission = Permission.VIEW_WORKFLOW

    @extend_schema(responses=DependencyDetailSchema)
    def get(self, request: Request, name: str) -> Response:
        """Return the dependency."""
        return Response(DependencyDetailSerializer(dependency_detail(self.actor, name)).data)


class BreakerCommand(ActionView):
    """A command on one breaker. Subclasses say what they do and the shape of their body."""

    required_permission = Permission.OPERATE_DEPENDENCY
    body_class: ClassVar[type[ResetSerializer]] = HoldBreakerSerializer
    act: ClassVar[Callable[..., Dependency]]

    @extend_schema(responses=DependencySerializer)
    def post(self, request: Request, name: str) -> Response:
        """Carry the command out and return the dependency as it is then."""
        body = self.body_class(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            row = type(self).act(actor=self.actor, name=name, **body.validated_data)
            context = {"waiting_runs": {name: waiting_runs(self.actor, name)}}
            return Answer(200, DependencySerializer(row, context=context).data)

        return self.once(request, act)


def _hold_open(*, actor: Actor, name: str, **values: Any) -> Dependency:
    return force_breaker(actor=actor, name=name, state=State.FORCED_OPEN, **values)


def _hold_closed(*, actor: Actor, name: str, **values: Any) -> Dependency:
    return force_breaker(actor=actor, name=name, state=State.FORCED_CLOSED, **values)


class HoldOpen(BreakerCommand):
    """Lets no call out until a time: runs that need the service wait, and nothing fails."""

    operation = "hold_breaker_open"
    summary = "Stop all calls"
    act = staticmethod(_hold_open)


class HoldClosed(BreakerCommand):
    """Lets every call out until a time, however many fail."""

    operation = "hold_breaker_closed"
    summary = "Let all calls out"
    act = staticmethod(_hold_closed)


class Reset(BreakerCommand):
    """Closes the breaker; only calls from now on count. Waiting runs go on, a few a second."""

    operation = "reset_breaker"
    summary = "Close a breaker"
    body_class = ResetSerializer
    act = staticmethod(reset_breaker)
