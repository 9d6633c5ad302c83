"""Reading checks and what they found."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from diagnostics.models import Discrepancy, Reconciliation
from diagnostics.reconciliation.queries import CheckDetail, check_detail, visible_checks
from portal.core.api_views import CursorPages, GuardedList, GuardedView
from portal.core.permissions import Permission


class ReconciliationSerializer(serializers.ModelSerializer[Reconciliation]):
    """What a check found at one time."""

    check_name = serializers.CharField(source="name", read_only=True, help_text="As declared in the code.")
    at_stake = serializers.DictField(
        child=serializers.CharField(), read_only=True, help_text="Sums by currency, as decimal text."
    )

    class Meta:
        model = Reconciliation
        fields = (
            *("id", "check_name", "status", "due_at", "started_at", "ended_at", "asked_by", "problem"),
            *("mismatches", "new_mismatches", "gone_mismatches", "at_stake"),
        )
        read_only_fields = fields


class DiscrepancySerializer(serializers.ModelSerializer[Discrepancy]):
    """A record on which the two sides differ. A side that is null has no such record."""

    class Meta:
        model = Discrepancy
        fields = ("key", "left", "right", "amount", "currency", "note", "first_seen_at", "last_seen_at")
        read_only_fields = fields


class CheckSerializer(serializers.Serializer[CheckDetail]):
    """A check as it stands."""

    name = serializers.CharField(source="view.check.name")
    title = serializers.CharField(source="view.check.title")
    owner = serializers.CharField(source="view.check.owner")
    left = serializers.CharField(source="view.check.left")
    right = serializers.CharField(source="view.check.right")
    every = serializers.CharField(source="view.check.rhythm.words", help_text="When it compares, in words.")
    is_overdue = serializers.BooleanField(
        source="view.is_overdue", help_text="It was due and has not compared: its last result says nothing of today."
    )
    next_at = serializers.DateTimeField(source="view.next_at")
    latest = ReconciliationSerializer(source="view.latest", allow_null=True)
    mismatches = serializers.SerializerMethodField(
        help_text="Those that are open, the most money first; at most 200."
    )
    mismatch_count = serializers.IntegerField(source="open_count")

    @extend_schema(responses=DiscrepancySerializer(many=True))
    def get_mismatches(self, detail: CheckDetail) -> list[dict[str, Any]]:
        """Return the open mismatches."""
        return list(DiscrepancySerializer(detail.open, many=True).data)


class ByIdentity(CursorPages):
    """Newest first: ids grow with time."""

    ordering = "-id"


class ReconciliationList(GuardedList):
    """What the checks that you may see have found, newest first."""

    operation = "list_reconciliations"
    summary = "List reconciliations"
    required_permission = Permission.VIEW_RUN
    queryset = Reconciliation.objects.none()
    serializer_class = ReconciliationSerializer
    pagination_class = ByIdentity

    def get_queryset(self) -> QuerySet[Reconciliation]:
        """Return what the caller may see."""
        return Reconciliation.objects.filter(name__in=visible_checks(self.actor))


class ReconciliationDetail(GuardedView):
    """One check with its open mismatches."""

    operation = "get_reconciliation"
    summary = "Read a reconciliation"
    required_permission = Permission.VIEW_RUN

    @extend_schema(responses=CheckSerializer)
    def get(self, request: Request, check: str) -> Response:
        """Return the check, its last result and the records on which its two sides differ."""
        return Response(CheckSerializer(check_detail(self.actor, check)).data)
