"""Completeness and contracts for other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core.api_views import ActionView, CursorPages, GuardedList, GuardedView, StrictSerializer
from portal.core.idempotency import Answer
from portal.core.permissions import Permission
from workflows.events.pages import gaps
from workflows.events.pages.contracts import EventView, contract_list, contract_page
from workflows.events.queries import completeness
from workflows.models import InboxMessage
from workflows.queries.fleet import fleet


class SubscriptionSerializer(serializers.Serializer[Any]):
    """One event and one subscriber, over the last 30 days; ``missing`` and ``dead`` whatever their age."""

    event = serializers.CharField()
    subscriber = serializers.CharField(source="consumer")
    expected = serializers.IntegerField(help_text="Emitted in the last 30 days.")
    consumed = serializers.IntegerField(help_text="Of these, acted on.")
    in_time = serializers.IntegerField(help_text="Of these, not acted on yet, but not overdue.")
    discarded = serializers.IntegerField(help_text="Of these, given up by a person.")
    missing = serializers.IntegerField(help_text="Overdue: nobody has acted on them.")
    dead = serializers.IntegerField(help_text="In dead letters.")
    oldest_due_at = serializers.DateTimeField(allow_null=True)
    ages = serializers.DictField(child=serializers.IntegerField(), help_text="The gap by age since it was due.")
    amounts = serializers.DictField(
        child=serializers.DecimalField(max_digits=18, decimal_places=2), help_text="The gap's worth by currency."
    )


class UnroutedSerializer(serializers.Serializer[Any]):
    """Events that no dispatcher has handed to their subscribers."""

    event = serializers.CharField()
    count = serializers.IntegerField()
    oldest_at = serializers.DateTimeField()
    is_known = serializers.BooleanField(help_text="Whether this portal's code knows the event.")
    amounts = serializers.DictField(child=serializers.DecimalField(max_digits=18, decimal_places=2))


class CompletenessSerializer(serializers.Serializer[Any]):
    """What was emitted, and who has not acted on it."""

    can_see = serializers.BooleanField(help_text="False: no dispatcher or no worker is heard; no gap means nothing.")
    gap = serializers.IntegerField()
    amounts = serializers.DictField(child=serializers.DecimalField(max_digits=18, decimal_places=2))
    subscriptions = SubscriptionSerializer(many=True)
    unrouted = UnroutedSerializer(many=True)


class MissedEventSerializer(serializers.Serializer[InboxMessage]):
    """An event that a subscriber has not acted on in its time."""

    id = serializers.UUIDField()
    event = serializers.CharField(source="message.name")
    event_id = serializers.UUIDField(source="message.pk")
    key = serializers.CharField()
    subscriber = serializers.CharField(source="consumer")
    status = serializers.CharField(help_text="`pending`, until somebody acts on it; `discarded` once it is given up.")
    customer = serializers.CharField(source="message.customer_key")
    amount = serializers.DecimalField(source="message.amount", max_digits=18, decimal_places=2, allow_null=True)
    currency = serializers.CharField(source="message.currency")
    emitted_at = serializers.DateTimeField(source="message.emitted_at")
    due_at = serializers.DateTimeField()


class WhySerializer(StrictSerializer):
    """A command that needs no more than its reason."""

    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Goes into the audit trail.")


class PartySerializer(serializers.Serializer[Any]):
    """A workflow that emits or acts on an event."""

    workflow = serializers.CharField(source="slug")
    step = serializers.CharField(help_text="Empty for a workflow that starts on it.")
    version = serializers.IntegerField(help_text="The version that it emits or reads.")
    problems = serializers.SerializerMethodField(help_text="Why it cannot read all that is emitted.")

    def get_problems(self, party: Any) -> list[str]:
        """Return what does not fit, a line each."""
        return [f"{misfit.field}: {misfit.problem}".removeprefix(": ") for misfit in party.problems]


class VersionSerializer(serializers.Serializer[Any]):
    """One version of an event."""

    number = serializers.IntegerField(source="contract.version")
    compatibility = serializers.CharField(source="contract.compatibility")
    problems = serializers.SerializerMethodField(help_text="Why it does not keep that with the version before.")
    emitted_last_day = serializers.IntegerField(source="volume")
    json_schema = serializers.DictField(source="contract.read", help_text="What a reader of this version takes.")

    def get_problems(self, version: Any) -> list[str]:
        """Return what does not fit, a line each."""
        return [f"{misfit.field}: {misfit.problem}".removeprefix(": ") for misfit in version.problems]


class ContractSerializer(serializers.Serializer[EventView]):
    """An event with all its versions, the latest first."""

    name = serializers.CharField()
    description = serializers.CharField()
    within_seconds = serializers.SerializerMethodField(help_text="Each subscriber must have acted by then.")
    versions = VersionSerializer(many=True)
    producers = PartySerializer(many=True)
    consumers = PartySerializer(many=True)

    def get_within_seconds(self, event: EventView) -> float:
        """Return the time that the latest version allows."""
        return event.latest.within.total_seconds()


class ContractListSerializer(serializers.Serializer[Any]):
    """All events that concern a workflow that you may see."""

    results = ContractSerializer(many=True)


class CompletenessView(GuardedView):
    """What was emitted and never consumed, by subscriber, with age and worth."""

    operation = "get_completeness"
    summary = "Read the completeness of events"
    required_permission = Permission.VIEW_RUN

    @extend_schema(responses=CompletenessSerializer)
    def get(self, request: Request) -> Response:
        """Return all subscriptions, those with a gap first."""
        found = completeness(self.actor)
        told = {name: getattr(found, name) for name in ("gap", "amounts", "subscriptions", "unrouted")}
        return Response(CompletenessSerializer({"can_see": fleet().can_see, **told}).data)


class NewestFirst(CursorPages):
    """Newest first: ids grow with time."""

    ordering = "-id"


class MissedList(GuardedList):
    """Events that a subscriber has not acted on in their time, newest first; not those in dead letters."""

    operation = "list_missed_events"
    summary = "List missed events"
    required_permission = Permission.VIEW_RUN
    queryset = InboxMessage.objects.none()
    serializer_class = MissedEventSerializer
    pagination_class = NewestFirst
    filterset_class = gaps.MissedFilter

    def get_queryset(self) -> QuerySet[InboxMessage]:
        """Return what the caller may see."""
        return gaps.missed(self.actor)


class MissedCommand(ActionView):
    """A command on one missed event. Subclasses name the service that carries it out."""

    service: ClassVar[Callable[..., InboxMessage]]
    body_class = WhySerializer

    @extend_schema(responses=MissedEventSerializer)
    def post(self, request: Request, inbox_id: UUID) -> Response:
        """Carry the command out and return the event as it is then."""
        body = WhySerializer(data=request.data)
        body.is_valid(raise_exception=True)

        def act() -> Answer:
            row = type(self).service(actor=self.actor, inbox_id=inbox_id, **body.validated_data)
            return Answer(200, MissedEventSerializer(row).data)

        return self.once(request, act)


class SendAgain(MissedCommand):
    """Lets the subscriber look at the event again; harmless if it has it in hand this moment."""

    operation = "send_missed_event"
    summary = "Send a missed event again"
    required_permission = Permission.REPLAY_DEAD_LETTER
    service = staticmethod(gaps.send_missed)


class GiveUp(MissedCommand):
    """Notes that the subscriber need not act on the event. The event itself stays."""

    operation = "give_up_missed_event"
    summary = "Give a missed event up"
    required_permission = Permission.DISCARD_DEAD_LETTER
    service = staticmethod(gaps.give_up_missed)


class ContractList(GuardedView):
    """The contracts of events: who says what to whom, and whether each can read it."""

    operation = "list_contracts"
    summary = "List contracts"
    required_permission = Permission.VIEW_WORKFLOW

    @extend_schema(responses=ContractListSerializer)
    def get(self, request: Request) -> Response:
        """Return all events, by name."""
        return Response(ContractListSerializer({"results": contract_list(self.actor)}).data)


class ContractDetail(GuardedView):
    """One event with all its versions."""

    operation = "get_contract"
    summary = "Read a contract"
    required_permission = Permission.VIEW_WORKFLOW

    @extend_schema(responses=ContractSerializer)
    def get(self, request: Request, event: str) -> Response:
        """Return the event."""
        return Response(ContractSerializer(contract_page(self.actor, event)).data)
