"""What the audit trail can be filtered by; page and API read their query strings with the same class."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet

from portal.core.models import AuditEntry

FIRST_YEAR, LAST_YEAR = 1970, 9998


class LocalDateTimeInput(forms.DateTimeInput):
    """The browser's own date and time picker."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class MomentField(forms.DateTimeField):
    """A time in a year and a zone that PostgreSQL's driver can send: a zone may be 20:37 off, but not there."""

    def to_python(self, value: Any) -> datetime | None:
        """Return the time in UTC."""
        moment = super().to_python(value)
        if moment is None:
            return None
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise forms.ValidationError(f"Use a year from {FIRST_YEAR} to {LAST_YEAR}.")
        return moment.astimezone(UTC)


class MomentFilter(django_filters.DateTimeFilter):
    """Filters by a time, as browsers and ISO 8601 write it."""

    field_class = MomentField


class AuditFilter(django_filters.FilterSet):
    """Filters for audit entries."""

    q = django_filters.CharFilter(label="Person, object or reason", method="filter_q")
    action = django_filters.CharFilter(label="Action", method="filter_action")
    object_type = django_filters.CharFilter(label="Kind of object")
    object_id = django_filters.CharFilter(label="Object")
    actor = django_filters.CharFilter(label="Actor's id", field_name="actor_id")
    result = django_filters.ChoiceFilter(label="Result", choices=AuditEntry.Result.choices, empty_label="Any")
    correlation_id = django_filters.CharFilter(label="Correlation id")
    since = MomentFilter(label="From", field_name="at", lookup_expr="gte", widget=LocalDateTimeInput())
    until = MomentFilter(label="To", field_name="at", lookup_expr="lt", widget=LocalDateTimeInput())

    class Meta:
        model = AuditEntry
        fields: list[str] = []

    def filter_q(self, entries: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        """Find entries by a part of the actor's or object's name or of the reason, or by an exact id."""
        value = value.strip()
        parts = Q(actor_label__icontains=value) | Q(object_label__icontains=value) | Q(reason__icontains=value)
        return entries.filter(parts | Q(object_id=value) | Q(correlation_id=value))

    def filter_action(self, entries: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        """Narrow to one action ("core.role.grant"), or to all of an app or noun ("core.role")."""
        return entries.filter(Q(action=value) | Q(action__startswith=f"{value.strip()}."))
