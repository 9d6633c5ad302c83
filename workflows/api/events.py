"""Taking events from outside: webhooks, and programs that tell of what happened."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.api_views import ActionView, StrictSerializer, answered
from portal.core.idempotency import Answer, checked_key
from portal.core.permissions import Permission
from workflows.events.services import MAX_SOURCE_ID, emit_event, read_emitted
from workflows.models import OutboxMessage

_EXAMPLE = OpenApiExample(
    "A payment",
    value={
        "name": "payment.confirmed",
        "payload": {"invoice_number": "INV-2026-00412", "amount": "1250.00", "currency": "EUR"},
        "source_id": "evt_01HZX4",
    },
    request_only=True,
)


@extend_schema_serializer(examples=[_EXAMPLE])
class EmitSerializer(StrictSerializer):
    """An event that happened elsewhere."""

    name = serializers.CharField(max_length=120, help_text="Such as `payment.confirmed`.")
    version = serializers.IntegerField(
        required=False, allow_null=True, default=None, min_value=1, max_value=2**31 - 1, help_text="Else the latest."
    )
    payload = serializers.DictField(help_text="Checked against the event's contract.")
    source_id = serializers.CharField(
        required=False,
        allow_null=True,
        default=None,
        max_length=MAX_SOURCE_ID,
        help_text="Your own id of it: sent again, it is the first event. Else the Idempotency-Key is taken for it.",
    )


class EmittedEventSerializer(serializers.Serializer[OutboxMessage]):
    """An event that was accepted; its subscribers act on it, each once."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    version = serializers.IntegerField()
    key = serializers.CharField(help_text="What it is about: runs wait for it by this.")
    source_id = serializers.CharField(allow_null=True)
    correlation_id = serializers.CharField()
    emitted_at = serializers.DateTimeField()


class EventEmit(ActionView):
    """Tell the subscribers of an event. Each acts on it once, however often it is sent.

    Send your own id of the event as `source_id`: a repeated delivery is answered with the first one. The same id
    with another payload answers 409.
    """

    operation = "emit_event"
    summary = "Emit an event"
    required_permission = Permission.EMIT_EVENT
    body_class = EmitSerializer

    @extend_schema(
        responses={
            201: OpenApiResponse(EmittedEventSerializer, "The new event"),
            200: OpenApiResponse(EmittedEventSerializer, "The event that was sent with this id before"),
        },
    )
    def post(self, request: Request) -> Response:
        """Return the new event, or the first one."""
        body = EmitSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        sent = body.validated_data
        key = checked_key(request.headers.get("Idempotency-Key"))
        event = read_emitted(name=sent["name"], version=sent["version"], payload=sent["payload"])
        done = emit_event(actor=self.actor, event=event, source_id=sent["source_id"] or key)
        shown = EmittedEventSerializer(done.message).data
        return answered(Answer(201 if done.created else 200, shown, not done.created))
