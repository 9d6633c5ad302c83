"""What dead letters can be filtered by; page, API and bulk repair read their query strings with the same class."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import Q, QuerySet, TextField
from django.db.models import Value as V
from django.db.models.functions import Concat
from django.http import QueryDict

from portal.core.actor import Actor
from portal.core.errors import InvalidInput
from workflows.filters import DescribedFilterSet, example, without_shape
from workflows.models import DeadLetter
from workflows.queries.concerns import error_text, without_varying

ANY = "any"
STATUSES = [*DeadLetter.Status.choices, (ANY, "Any")]


def with_cause(letters: QuerySet[DeadLetter]) -> QuerySet[Any]:
    """Annotate ``cause``: the error without what differs from one letter to the next, by which they are grouped."""
    message = without_varying(error_text("message"))
    return letters.annotate(cause=Concat(error_text("type"), V(": "), message, output_field=TextField()))


class DeadLetterFilter(DescribedFilterSet):
    """Filters for dead letters. Without a status: those that are open."""

    q = django_filters.CharFilter(label="Find", method="filter_q", widget=example("Id, key, words of the error"))
    status = django_filters.ChoiceFilter(label="Status", choices=STATUSES, method="filter_status", empty_label=None)
    consumer = django_filters.CharFilter(label="Subscriber", widget=example("settle-invoice"))
    event = django_filters.CharFilter(label="Event", field_name="message__name", widget=example("payment.received"))
    reason = django_filters.ChoiceFilter(label="Why", choices=DeadLetter.Reason.choices, empty_label="Any")
    customer = django_filters.CharFilter(label="Customer", field_name="message__customer_key")
    cause = django_filters.CharFilter(label="Error", method="filter_cause")

    class Meta:
        model = DeadLetter
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[DeadLetter]) -> QuerySet[DeadLetter]:
        """Narrow to what is asked for; to what is open if no status is."""
        found: QuerySet[DeadLetter] = super().filter_queryset(queryset)
        return found if self.form.cleaned_data["status"] else found.filter(status=DeadLetter.Status.OPEN)

    def filter_q(self, letters: QuerySet[DeadLetter], name: str, value: str) -> QuerySet[DeadLetter]:
        """Find a letter by what names it, its event or its run exactly, or by words of its error."""
        value = value.strip()
        named = Q(message__key=value) | Q(message__correlation_id=value) | Q(message__source_id=value)
        try:
            key = UUID(value)
        except ValueError:
            return letters.filter(named | Q(error__message__icontains=value))
        return letters.filter(named | Q(pk=key) | Q(message=key) | Q(message__run=key) | Q(inbox__run=key))

    def filter_status(self, letters: QuerySet[DeadLetter], name: str, value: str) -> QuerySet[DeadLetter]:
        """Narrow to a status; "any" to none."""
        return letters if value == ANY else letters.filter(status=value)

    def filter_cause(self, letters: QuerySet[DeadLetter], name: str, value: str) -> QuerySet[DeadLetter]:
        """Narrow to the letters of one group."""
        found: QuerySet[DeadLetter] = with_cause(letters).filter(cause=value)
        return found


def filtered_letters(actor: Actor, letters: QuerySet[DeadLetter], query: QueryDict) -> QuerySet[DeadLetter]:
    """Return the letters that a query string of the list matches.

    :raises InvalidInput: for a filter that is not known or not valid: it must not match everything.
    """
    wanted = without_shape(query)
    filters = DeadLetterFilter(wanted, queryset=letters, request=actor)
    problems = {name: ["There is no such filter."] for name in wanted if name not in filters.filters}
    if problems or not filters.is_valid():
        raise InvalidInput("The filter is not valid.", fields=problems or dict(filters.form.errors.items()))
    found: QuerySet[DeadLetter] = filters.qs
    return found
