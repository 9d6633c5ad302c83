"""The shapes of the API: what goes out of workflows and runs, and what comes in for a command."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from portal.core.api_views import StrictSerializer
from workflows.api import examples
from workflows.engine.state import ItemStatus, RunStatus, StepStatus, WaitingReason
from workflows.gaps import Gap
from workflows.models import ApprovalRequest, Attempt, Dependency, Run, RunEvent, StepItem, Workflow
from workflows.queries.items import ItemsShown
from workflows.queries.records import RunRecord, StepRecord, WorkflowRecord

MAX_REVISION = 2**31 - 1


class WorkflowSerializer(serializers.Serializer[Workflow]):
    """A workflow in the list."""

    slug = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    team = serializers.CharField(source="team.slug", help_text="The team that owns it.")
    tier = serializers.IntegerField(help_text="1 is the most important.")
    version = serializers.IntegerField(source="latest_version", help_text="New runs are of this version.")
    success_target = serializers.FloatField(help_text="The share of runs that must succeed, 0 to 1.")
    within_seconds = serializers.SerializerMethodField(help_text="A longer run is late.")
    runbook = serializers.CharField()
    paused_at = serializers.DateTimeField(allow_null=True, help_text="New runs are accepted but held since.")
    paused_reason = serializers.CharField()
    retired_at = serializers.DateTimeField(allow_null=True, help_text="No longer in the code since.")

    def get_within_seconds(self, workflow: Workflow) -> float:
        """Return the promised duration."""
        return workflow.within.total_seconds()


class DefinitionSerializer(serializers.Serializer[WorkflowRecord]):
    """What only the page of one workflow shows."""

    definition = serializers.DictField(
        help_text="Steps, edges, effects, required settings, and `input.schema`: the JSON Schema of the input."
    )


class WorkflowDetailSerializer(DefinitionSerializer, WorkflowSerializer):
    """A workflow with the definition of its latest version."""

    def to_representation(self, instance: WorkflowRecord) -> dict[str, Any]:
        """Flatten the record."""
        return {**WorkflowSerializer(instance.workflow).data, "definition": instance.definition}


@extend_schema_serializer(examples=[examples.RUN])
class RunSerializer(serializers.Serializer[Run]):
    """A run in a list, and the answer to a command."""

    id = serializers.UUIDField()
    workflow = serializers.CharField(source="workflow.slug")
    workflow_version = serializers.IntegerField(source="version")
    status = serializers.ChoiceField(choices=[(s.value, s.name) for s in RunStatus])
    waiting_reason = serializers.ChoiceField(
        choices=[(r.value, r.name) for r in WaitingReason], help_text="Empty unless the status is `waiting`."
    )
    waiting_on = serializers.CharField(help_text="What exactly it waits for, in words.")
    request = serializers.CharField(help_text="`pause` or `cancel`, until the worker that has the run obeys.")
    revision = serializers.IntegerField(
        source="event_count", help_text="Grows with each change; send it back as `expected_revision`."
    )
    current_step = serializers.CharField()
    retry_count = serializers.IntegerField()
    customer = serializers.CharField(source="customer_key")
    amount = serializers.DecimalField(max_digits=18, decimal_places=2, allow_null=True)
    currency = serializers.CharField()
    idempotency_key = serializers.CharField(allow_null=True)
    correlation_id = serializers.CharField()
    started_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True, help_text="Later than this it is late.")


class ErrorField(serializers.DictField):
    """``{type, code, message, context, chain}``, and ``stack`` for those who may see payloads."""


class AttemptSerializer(serializers.Serializer[Attempt]):
    """A try that did not complete its step."""

    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Attempt.Kind.choices)
    outcome = serializers.ChoiceField(choices=Attempt.Outcome.choices)
    error = ErrorField(allow_null=True)
    worker = serializers.CharField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField()
    retry_at = serializers.DateTimeField(allow_null=True)


class StepSerializer(serializers.Serializer[StepRecord]):
    """A step of a run; one that was not reached is pending."""

    name = serializers.CharField(source="step.step")
    title = serializers.CharField(source="definition.title")
    effect = serializers.CharField(source="definition.effect")
    position = serializers.IntegerField(source="step.position")
    status = serializers.ChoiceField(source="step.status", choices=[(s.value, s.name) for s in StepStatus])
    attempts = serializers.IntegerField(source="step.attempts", help_text="Tries that count against the limit.")
    operation_key = serializers.CharField(
        source="step.operation_key", help_text="Sent with every attempt, so that the other side can tell a repeat."
    )
    output = serializers.JSONField(allow_null=True)
    error = ErrorField(allow_null=True)
    worker = serializers.CharField(source="step.worker")
    started_at = serializers.DateTimeField(source="step.started_at", allow_null=True)
    ended_at = serializers.DateTimeField(source="step.ended_at", allow_null=True)
    next_attempt_at = serializers.DateTimeField(source="step.next_attempt_at", allow_null=True)
    undone_at = serializers.DateTimeField(source="step.undone_at", allow_null=True)
    tries = AttemptSerializer(many=True, help_text="The attempts that did not complete it, oldest first.")


class QuestionSerializer(serializers.Serializer[ApprovalRequest]):
    """What a run asks a person."""

    step = serializers.CharField()
    question = serializers.CharField()
    facts = serializers.ListField(help_text="`[[name, value], …]` to decide by.")
    roles = serializers.ListField(child=serializers.CharField(), help_text="One of these is needed, if any.")
    four_eyes = serializers.BooleanField(help_text="Whether whoever started the run may not answer.")
    asked_at = serializers.DateTimeField()
    overdue_since = serializers.DateTimeField(source="reminded_at", allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)


class RelativeSerializer(serializers.Serializer[Any]):
    """A run that a step of another has started, or the run of that step."""

    id = serializers.UUIDField(source="run.pk")
    workflow = serializers.CharField(source="run.workflow.slug")
    status = serializers.ChoiceField(source="run.status", choices=[(s.value, s.name) for s in RunStatus])
    step = serializers.CharField(help_text="The step of the parent that started the child.")


class CommandSerializer(serializers.Serializer[Any]):
    """Something that can be done with a run, and what speaks against it."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # Field has an attribute of this name
    allowed = serializers.BooleanField()
    met = serializers.ListField(child=serializers.CharField())
    unmet = serializers.ListField(child=serializers.CharField())


class GapSerializer(serializers.Serializer[Gap]):
    """Something that a degraded run lacks."""

    step = serializers.CharField()
    what = serializers.ChoiceField(
        choices=["failed", "fell_back", "items"],
        help_text="An optional step failed, a step used its fallback, or items of a list failed.",
    )
    message = serializers.CharField()
    failed = serializers.IntegerField(help_text="How many items, of a step with items.")
    total = serializers.IntegerField()
    names = serializers.ListField(child=serializers.CharField(), help_text="The first of them.")
    worth = serializers.DictField(child=serializers.CharField(), help_text="Their amounts by currency.")


class RunInsideSerializer(serializers.Serializer[RunRecord]):
    """What only the page of one run shows."""

    input = serializers.JSONField(help_text="Sensitive values show as ••• without the right to see them.")
    output = serializers.JSONField(allow_null=True)
    error = ErrorField(allow_null=True)
    question = QuestionSerializer(allow_null=True, help_text="What it asks a person now.")
    parent = RelativeSerializer(source="family.parent", allow_null=True, help_text="The run whose step started it.")
    children = RelativeSerializer(source="family.children", many=True, help_text="The runs that its steps started.")
    steps = StepSerializer(many=True)
    gaps = GapSerializer(many=True, help_text="What a degraded run lacks.")


class RunDetailSerializer(RunInsideSerializer, RunSerializer):
    """A run with its steps, their attempts, and what can be done with it."""

    commands = CommandSerializer(many=True)

    def to_representation(self, instance: RunRecord) -> dict[str, Any]:
        """Flatten the record."""
        commands = CommandSerializer(self.context["commands"], many=True).data
        return {**RunSerializer(instance.run).data, **RunInsideSerializer(instance).data, "commands": commands}


class EventSerializer(serializers.Serializer[RunEvent]):
    """One line of a run's history."""

    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    kind = serializers.CharField()
    step = serializers.CharField()
    data = serializers.SerializerMethodField(  # type: ignore[assignment]  # Serializer has a property of this name
        help_text="What belongs to this kind of event."
    )

    def get_data(self, event: RunEvent) -> dict[str, Any]:
        """Return the details, of an error only what it is: the whole of it is with its step and attempt."""
        error = event.data.get("error")
        brief = {"error": {name: error.get(name) for name in ("type", "code", "message")}} if error else {}
        return {**event.data, **brief}


class ItemSerializer(serializers.Serializer[StepItem]):
    """An item of a step that is done once for each item of a list."""

    index = serializers.IntegerField(help_text="Its place in the list, from 0.")
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=[(s.value, s.name) for s in ItemStatus])
    attempts = serializers.IntegerField(help_text="Tries that count against the limit.")
    operation_key = serializers.CharField()
    amount = serializers.DecimalField(max_digits=18, decimal_places=2, allow_null=True)
    currency = serializers.CharField()
    input = serializers.SerializerMethodField(help_text="Sensitive values show as ••• without the right to see them.")
    output = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField(help_text="The latest error, null without one.")
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    undone_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.JSONField(allow_null=True))
    def get_input(self, item: StepItem) -> Any:
        """Return the item as the caller may see it."""
        shown: ItemsShown = self.context["shown"]
        return shown.redaction.hide_from(item.input, shown.sensitive)

    @extend_schema_field(serializers.JSONField(allow_null=True))
    def get_output(self, item: StepItem) -> Any:
        """Return what it gave as the caller may see it."""
        shown: ItemsShown = self.context["shown"]
        return shown.redaction.step_output(item.step, item.output)

    @extend_schema_field(ErrorField(allow_null=True))
    def get_error(self, item: StepItem) -> dict[str, Any] | None:
        """Return the latest error as the caller may see it."""
        shown: ItemsShown = self.context["shown"]
        return shown.redaction.error(item.error)


class DependencySerializer(serializers.Serializer[Dependency]):
    """A service that steps call, and its circuit breaker."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=Dependency.State.choices)
    state_since = serializers.DateTimeField()
    probe_at = serializers.DateTimeField(allow_null=True)
    forced_until = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    waiting_runs = serializers.SerializerMethodField(help_text="Runs that wait for it and that you may see.")

    def get_waiting_runs(self, dependency: Dependency) -> int:
        """Return how many; the view has counted them for all dependencies at once."""
        waiting: int = self.context["waiting_runs"].get(dependency.name, 0)
        return waiting


class PreviewLineSerializer(serializers.Serializer[Any]):
    """What a rollback does with one step."""

    step = serializers.CharField()
    title = serializers.CharField()
    effect = serializers.CharField()
    note = serializers.CharField()


class RollbackPreviewSerializer(serializers.Serializer[Any]):
    """What a rollback would do."""

    undone = PreviewLineSerializer(many=True)
    not_undone = PreviewLineSerializer(many=True, help_text="These stay as they are: they cannot be undone.")
    untouched = PreviewLineSerializer(many=True)
    amount = serializers.DecimalField(max_digits=18, decimal_places=2, allow_null=True)
    currency = serializers.CharField()


@extend_schema_serializer(examples=[examples.START])
class StartSerializer(StrictSerializer):
    """A new run."""

    input = serializers.DictField(help_text="Checked against `definition.input.schema` of the workflow.")
    reason = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=2000, help_text="Goes into the audit trail."
    )


@extend_schema_serializer(examples=[examples.REASON])
class ReasonSerializer(StrictSerializer):
    """A command that needs no more than its reason."""

    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Goes into the audit trail.")
    expected_revision = serializers.IntegerField(
        source="expected_version",
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=MAX_REVISION,
        help_text="The `revision` that you decided on; a run that has changed since answers 409.",
    )


class StepReasonSerializer(ReasonSerializer):
    """A command on one step."""

    step = serializers.CharField(min_length=1, max_length=80)


class SkipSerializer(StepReasonSerializer):
    """Skip a step."""

    output = serializers.JSONField(
        required=False, allow_null=True, help_text="Needed if a later step takes this step's output."
    )


class DecideSerializer(SkipSerializer):
    """Say what became of an uncertain step."""

    happened = serializers.BooleanField(help_text="Whether the step's effect did take place.")


class RollbackSerializer(ReasonSerializer):
    """Undo what a run has done."""

    to_step = serializers.CharField(
        required=False,
        allow_null=True,
        default=None,
        min_length=1,
        max_length=80,
        help_text="Undo what came after this step and leave it in place; without it, undo everything.",
    )
