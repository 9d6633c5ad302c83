"""Dead letters for other programs: the same filters, services and rights as on the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.api_views import ActionView, CursorPages, GuardedList, GuardedView, StrictSerializer
from portal.core.idempotency import Answer
from portal.core.permissions import Permission
from workflows.deadletters import reading, services
from workflows.deadletters.filters import DeadLetterFilter
from workflows.deadletters.payload import shown_changes
from workflows.deadletters.queries import access_dead_letter, visible_letters
from workflows.models import DeadLetter

MAX_REVISION = 2**31 - 1


class DeadLetterSerializer(serializers.Serializer[DeadLetter]):
    """A dead letter in a list, and the answer to a command."""

    id = serializers.UUIDField()
    event = serializers.CharField(source="message.name")
    event_version = serializers.IntegerField(source="message.version")
    event_id = serializers.UUIDField(source="message.pk")
    key = serializers.CharField(source="message.key", help_text="What the event is about.")
    subscriber = serializers.CharField(
        source="consumer", help_text="`workflow`, or `workflow.step` of a step that waits."
    )
    status = serializers.ChoiceField(choices=DeadLetter.Status.choices)
    reason = serializers.ChoiceField(choices=DeadLetter.Reason.choices)
    attempts = serializers.IntegerField(help_text="Tries before it died, replays included.")
    revision = serializers.IntegerField(
        source="replay_count", help_text="How often it was replayed; send it back as `expected_revision`."
    )
    customer = serializers.CharField(source="message.customer_key")
    amount = serializers.DecimalField(
        source="message.amount",
        max_digits=18,
        decimal_places=2,
        allow_null=True,
        help_text="What the event is worth.",
    )
    currency = serializers.CharField(source="message.currency")
    correlation_id = serializers.CharField(source="message.correlation_id")
    emitted_at = serializers.DateTimeField(source="message.emitted_at")
    died_at = serializers.DateTimeField(help_text="The last time.")
    last_replayed_at = serializers.DateTimeField(allow_null=True)
    discarded_at = serializers.DateTimeField(allow_null=True, help_text="It is removed 30 days later.")


class ChangeSerializer(serializers.Serializer[Any]):
    """A field that somebody changed; a side that was not there is left out."""

    field = serializers.CharField()
    before = serializers.JSONField(required=False, allow_null=True)
    after = serializers.JSONField(required=False, allow_null=True)


class EditSerializer(serializers.Serializer[Any]):
    """What somebody changed before a replay."""

    at = serializers.DateTimeField()
    by = serializers.CharField()
    reason = serializers.CharField()
    changes = ChangeSerializer(many=True)


class DeadLetterDetailSerializer(DeadLetterSerializer):
    """A dead letter with what the event says. Needs ``actor`` in its context."""

    payload = serializers.SerializerMethodField(
        help_text="Sensitive values show as ••• without the right to see them."
    )
    problems = serializers.SerializerMethodField(help_text="By field: what its subscriber cannot read.")
    error = serializers.SerializerMethodField(
        help_text="The latest: `{type, code, message, context, chain}`, and `stack` for those who may see payloads."
    )
    edits = serializers.SerializerMethodField(help_text="The oldest first.")
    emitted_by_run = serializers.UUIDField(source="message.run_id", allow_null=True)
    step = serializers.CharField(source="message.step", help_text="The step that emitted it.")
    led_to_run = serializers.UUIDField(source="inbox.run_id", allow_null=True, help_text="What a replay started.")

    def get_payload(self, letter: DeadLetter) -> dict[str, Any]:
        """Return the payload as the caller may see it."""
        payload: dict[str, Any] = reading.shown_payload(self._actor, letter)
        return payload

    def get_problems(self, letter: DeadLetter) -> dict[str, list[str]]:
        """Return what does not fit."""
        return reading.problems_of(letter, letter.payload)

    def get_error(self, letter: DeadLetter) -> dict[str, Any]:
        """Return the error, without its stack for those who may not see payloads."""
        hidden = () if may(self._actor, Permission.VIEW_PAYLOAD, letter) else ("stack", "context")
        return {name: part for name, part in letter.error.items() if name not in hidden}

    @extend_schema_field(EditSerializer(many=True))
    def get_edits(self, letter: DeadLetter) -> list[dict[str, Any]]:
        """Return what was changed, as the caller may see it."""
        sees_all = may(self._actor, Permission.VIEW_PAYLOAD, letter)
        sensitive = [] if sees_all else reading.sensitive_in(letter)
        return [
            edit | {"changes": [change.as_json() for change in shown_changes(edit["changes"], sensitive)]}
            for edit in letter.edits
        ]

    @property
    def _actor(self) -> Actor:
        actor: Actor = self.context["actor"]
        return actor


REASON = OpenApiExample(
    "With the revision that was looked at",
    value={"reason": "The client is in the register now, see INC-204.", "expected_revision": 0},
    request_only=True,
)


@extend_schema_serializer(examples=[REASON])
class LetterReasonSerializer(StrictSerializer):
    """A command that needs no more than its reason."""

    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Goes into the audit trail.")
    expected_revision = serializers.IntegerField(
        source="expected_version",
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=MAX_REVISION,
        help_text="The `revision` that you decided on; a letter that was replayed since answers 409.",
    )


class EditAndReplaySerializer(LetterReasonSerializer):
    """What the event shall say."""

    payload = serializers.DictField(help_text="All of it. A value that shows as ••• to you stays as it is.")


class NewestFirst(CursorPages):
    """Newest first: ids grow with time."""

    ordering = "-id"


class DeadLetterList(GuardedList):
    """The dead letters that you may see, newest first; open ones unless `status` says otherwise."""

    operation = "list_dead_letters"
    summary = "List dead letters"
    required_permission = Permission.VIEW_RUN
    queryset = DeadLetter.objects.none()
    serializer_class = DeadLetterSerializer
    pagination_class = NewestFirst
    filterset_class = DeadLetterFilter

    def get_queryset(self) -> QuerySet[DeadLetter]:
        """Return what the caller may see."""
        return visible_letters(self.actor)


class DeadLetterDetail(GuardedView):
    """One dead letter with what the event says, what does not fit, and what was changed."""

    operation = "get_dead_letter"
    summary = "Read a dead letter"
    required_permission = Permission.VIEW_RUN

    @extend_schema(responses=DeadLetterDetailSerializer)
    def get(self, request: Request, letter_id: UUID) -> Response:
        """Return the letter."""
        letter = access_dead_letter(self.actor, letter_id)
        return Response(DeadLetterDetailSerializer(letter, context={"actor": self.actor}).data)


class LetterCommand(ActionView):
    """A command on one dead letter. Subclasses name the service that carries it out and the shape of its body."""

    service: ClassVar[Callable[..., DeadLetter]]
    body_class: ClassVar[type[LetterReasonSerializer]] = LetterReasonSerializer

    @extend_schema(responses=DeadLetterSerializer)
    def post(self, request: Request, letter_id: UUID) -> Response:
        """Carry the command out and return the letter as it is then."""
        body = self.body_class(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            letter = type(self).service(actor=self.actor, letter_id=letter_id, **body.validated_data)
            return Answer(200, DeadLetterSerializer(letter).data)

        return self.once(request, act)


class Replay(LetterCommand):
    """Hands the event to its subscriber again, as it is. Five times at most."""

    operation = "replay_dead_letter"
    summary = "Replay a dead letter"
    required_permission = Permission.REPLAY_DEAD_LETTER
    service = staticmethod(services.replay_dead_letter)


class EditAndReplay(LetterCommand):
    """Hands the event to its subscriber with another payload; the difference is kept. The event itself stays."""

    operation = "edit_and_replay_dead_letter"
    summary = "Edit and replay a dead letter"
    required_permission = Permission.EDIT_DEAD_LETTER
    service = staticmethod(services.edit_and_replay_dead_letter)
    body_class = EditAndReplaySerializer


class Discard(LetterCommand):
    """Gives the event up for this subscriber. It can be brought back for 30 days."""

    operation = "discard_dead_letter"
    summary = "Discard a dead letter"
    required_permission = Permission.DISCARD_DEAD_LETTER
    service = staticmethod(services.discard_dead_letter)


class Restore(LetterCommand):
    """Opens a discarded letter again. Nothing is sent."""

    operation = "restore_dead_letter"
    summary = "Bring a dead letter back"
    required_permission = Permission.DISCARD_DEAD_LETTER
    service = staticmethod(services.restore_dead_letter)
