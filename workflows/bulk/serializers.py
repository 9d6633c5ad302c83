"""The shapes of bulk operations in the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from portal.core.api_views import StrictSerializer
from workflows.bulk.conf import RATES
from workflows.bulk.registry import KINDS
from workflows.models import BulkItem, BulkOperation

_COMMANDS = sorted({name for kind in KINDS.values() for name in kind.commands})


class CountedSerializer(serializers.Serializer[Any]):
    """Something that is true of so many of them."""

    words = serializers.CharField()
    count = serializers.IntegerField()


class MoneySerializer(serializers.Serializer[Any]):
    """What is at stake in one currency."""

    currency = serializers.CharField()
    amount = serializers.DecimalField(max_digits=20, decimal_places=2)


class DryRunSerializer(serializers.Serializer[Any]):
    """What an operation would do. Nothing has happened."""

    matching = serializers.IntegerField(help_text="How many match the filter.")
    count = serializers.IntegerField(help_text="How many of them would be touched: send it as `expected_count`.")
    digest = serializers.CharField(help_text="Stands for exactly these: send it as `expected_digest`.")
    stages = serializers.ListField(child=serializers.IntegerField(), help_text="How many each stage has.")
    needs_approval = serializers.BooleanField(help_text="Too large for you alone: a second person has to approve it.")
    states = CountedSerializer(many=True)
    does = CountedSerializer(many=True, help_text="What would happen.")
    repeats = CountedSerializer(many=True, help_text="What would happen again.")
    irreversible = CountedSerializer(many=True, help_text="What could not be taken back.")
    left_out = CountedSerializer(many=True, help_text="Why the others would not be touched.")
    money = MoneySerializer(many=True)


class CountsSerializer(serializers.Serializer[Any]):
    """How far it has come."""

    total = serializers.IntegerField()
    touched = serializers.IntegerField()
    pending = serializers.IntegerField()
    refused = serializers.IntegerField()
    not_needed = serializers.IntegerField()
    good = serializers.IntegerField(help_text="Turned out well.")
    bad = serializers.IntegerField(help_text="Refused, or went wrong again.")
    inconclusive = serializers.IntegerField(help_text="Did not settle in the time that it was watched.")


class BulkOperationSerializer(serializers.Serializer[BulkOperation]):
    """A bulk operation."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    command = serializers.CharField()
    filter = serializers.CharField()
    chosen = serializers.ListField(child=serializers.UUIDField())
    status = serializers.ChoiceField(choices=BulkOperation.Status.choices)
    halted_because = serializers.CharField()
    reason = serializers.CharField()
    per_minute = serializers.IntegerField()
    stage = serializers.IntegerField(help_text="The stage that is under way, from 0.")
    ladder = serializers.ListField(child=serializers.IntegerField(), help_text="How many each stage has.")
    total = serializers.IntegerField()
    started_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class BulkOperationDetailSerializer(BulkOperationSerializer):
    """One operation with its counts, and the dry run that was confirmed."""

    counts = serializers.SerializerMethodField()
    preview = DryRunSerializer()

    @extend_schema_field(CountsSerializer)
    def get_counts(self, operation: BulkOperation) -> Any:
        """Return how far it has come."""
        return CountsSerializer(self.context["counts"]).data


class BulkItemSerializer(serializers.Serializer[BulkItem]):
    """One thing that an operation touches."""

    object_id = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]  # Field has an attribute of this name
    position = serializers.IntegerField()
    stage = serializers.IntegerField()
    status = serializers.ChoiceField(choices=BulkItem.Status.choices)
    verdict = serializers.ChoiceField(choices=[("", "OPEN"), *BulkItem.Verdict.choices[1:]])
    words = serializers.CharField(help_text="Why it was refused, or what became of it.")
    done_at = serializers.DateTimeField(allow_null=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Look first",
            value={"command": "resume", "filter": "state=failed&workflow=settle-invoice", "dry_run": True},
            request_only=True,
        )
    ]
)
class StartOperationSerializer(StrictSerializer):
    """A dry run, or the start of exactly what a dry run showed."""

    kind = serializers.ChoiceField(choices=sorted(KINDS), default="run")
    command = serializers.ChoiceField(choices=_COMMANDS)
    filter = serializers.CharField(
        default="", allow_blank=True, max_length=4000, help_text="Query string of the list, as on its page."
    )
    ids = serializers.ListField(
        child=serializers.UUIDField(), default=list, max_length=1000, help_text="Of what matches, only these."
    )
    dry_run = serializers.BooleanField(default=True, help_text="Only tell what would happen.")
    expected_count = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    expected_digest = serializers.RegexField(r"^[0-9a-f]{64}$", required=False)
    per_minute = serializers.ChoiceField(choices=RATES, required=False)
    reason = serializers.CharField(required=False, min_length=10, max_length=2000, help_text="For the audit trail.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check what only together is right or wrong."""
        if attrs["command"] not in KINDS[attrs["kind"]].commands:
            raise serializers.ValidationError({"command": [f"There is no such command for a {attrs['kind']}."]})
        needed = () if attrs["dry_run"] else ("expected_count", "expected_digest", "reason")
        missing = {name: ["Needed to start: send what the dry run gave."] for name in needed if name not in attrs}
        if missing:
            raise serializers.ValidationError(missing)
        return attrs


class BulkHandSerializer(StrictSerializer):
    """A person's hand on an operation."""

    reason = serializers.CharField(min_length=10, max_length=2000, help_text="Goes into the audit trail.")
