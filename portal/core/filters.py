"""What the audit trail can be filtered by; page and API read their query strings with the same class."""

from __future__ import annotations

import django_filters
from django import forms
from django.db.models import Q, QuerySet

from portal.core.models import AuditEntry


class LocalDateTimeInput(forms.DateTimeInput):
    """The browser's own date and time picker."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class AuditFilter(django_filters.FilterSet):
    """Filters for audit entries."""

    q = django_filters.CharFilter(label="Person, object or reason", method="filter_q")
    action = django_filters.CharFilter(label="Action", method="filter_action")
    object_type = django_filters.CharFilter(label="Kind of object")
    object_id = django_filters.CharFilter(label="Object")
    actor = django_filters.CharFilter(label="Actor's id", field_name="actor_id")
    result = django_filters.ChoiceFilter(label="Result", choices=AuditEntry.Result.choices, empty_label="Any")
    correlation_id = django_filters.CharFilter(label="Correlation id")
    since = django_filters.IsoDateTimeFilter(
        label="From", field_name="at", lookup_expr="gte", widget=LocalDateTimeInput()
    )
    until = django_filters.IsoDateTimeFilter(
        label="To", field_name="at", lookup_expr="lt", widget=LocalDateTimeInput()
    )

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
