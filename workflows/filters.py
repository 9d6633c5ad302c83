"""What runs can be filtered by; the query string of the page and of the API are read by the same class."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import django_filters
from django import forms
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field

from portal.core import clock
from portal.core.access import within_reach
from portal.core.actor import Actor, actor_of
from portal.core.errors import InvalidInput
from portal.core.filters import LocalDateTimeInput, MomentFilter
from portal.core.permissions import Permission
from workflows.engine.state import FINAL_RUN_STATUSES, ItemStatus, RunStatus, StepStatus, WaitingReason
from workflows.models import Run, StepRun, Workflow

UNATTENDED_AFTER = timedelta(minutes=1)
_UNFINISHED = sorted(set(RunStatus) - FINAL_RUN_STATUSES - {RunStatus.SCHEDULED, RunStatus.PAUSED})
_UNDER_WAY = [RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.ROLLING_BACK]

# Of the query string, what is a place in the list or its look, and not a filter.
SHAPE = ("before", "after", "upto", "columns")

QUICK_VIEWS: dict[str, tuple[str, str]] = {
    "running": ("Running", "Runs that a worker has in hand, or that are queued for one"),
    "stuck": ("Stuck", "Not finished and past the promised time, or without a worker for a minute"),
    "failed-today": ("Failed today", "Runs whose failure, or whose rollback's failure, happened today"),
    "person": ("Waiting for a person", "Runs that only go on when somebody decides, approves or resumes"),
    "mine": ("Mine", "Runs that you started"),
}


def late(now: datetime) -> Q:
    """Return the filter for runs that are not finished and past the promised time."""
    return Q(status__in=_UNFINISHED, due_at__lt=now)


def unattended(now: datetime) -> Q:
    """Return the filter for runs that no worker has touched though one should have."""
    quiet = now - UNATTENDED_AFTER
    queued = Q(status=RunStatus.QUEUED, dispatched_at=None, created_at__lt=quiet, workflow__paused_at=None)
    overslept = Q(status=RunStatus.WAITING, wake_at__lt=quiet)
    return queued | overslept | Q(status__in=_UNDER_WAY, lease_expires_at__lt=quiet)


def stuck(now: datetime) -> Q:
    """Return the filter for runs that are late or unattended."""
    return late(now) | unattended(now)


def waiting_for_dependency(*names: str) -> Q:
    """Return the filter for runs that wait for one of these services, or for their turn at it.

    A rollback waits without a reason.
    """
    waiting = Q(status=RunStatus.WAITING, waiting_reason__in=[WaitingReason.DEPENDENCY, WaitingReason.CAPACITY])
    return (waiting | Q(status=RunStatus.ROLLING_BACK)) & Q(waiting_on__in=names)


def waiting_for_person() -> Q:
    """Return the filter for runs that need a decision: an approval, a setting, an uncertain step, a pause."""
    uncertain = StepRun.objects.filter(run=OuterRef("pk"), status=StepStatus.UNCERTAIN)
    asked = Q(status=RunStatus.WAITING, waiting_reason__in=[WaitingReason.APPROVAL, WaitingReason.CONFIGURATION])
    undecided = Q(Exists(uncertain), status__in=[RunStatus.WAITING, RunStatus.PAUSED, RunStatus.FAILED])
    return asked | Q(status__in=[RunStatus.PAUSED, RunStatus.ROLLBACK_FAILED]) | undecided


def filtered_runs(actor: Actor, runs: QuerySet[Run], query: QueryDict) -> QuerySet[Run]:
    """Return those of ``runs`` that match the query string of the list; what is no filter in it does not count.

    :raises InvalidInput: for a filter that is not known or not valid: it must not match everything.
    """
    wanted = without_shape(query)
    filters = RunFilter(wanted, queryset=runs, request=actor)
    problems = {name: ["There is no such filter."] for name in wanted if name not in filters.filters}
    if problems or not filters.is_valid():
        raise InvalidInput("The filter is not valid.", fields=problems or dict(filters.form.errors.items()))
    found: QuerySet[Run] = filters.qs
    return found


def without_shape(query: QueryDict) -> QueryDict:
    """Return the query's filters alone, without the place in the list, the columns, and fields left empty."""
    copy = QueryDict(mutable=True)
    for name, values in query.lists():
        if name not in SHAPE and (filled := [value for value in values if value]):
            copy.setlist(name, filled)
    return copy


def _asker(request: HttpRequest | Actor) -> Actor:
    """Return who filters: pages and the API hand on their request, services the actor."""
    return request if isinstance(request, Actor) else actor_of(request)


def _visible_workflows(request: HttpRequest | Actor) -> QuerySet[Workflow]:
    return Workflow.objects.filter(within_reach(_asker(request), Permission.VIEW_RUN, workflow=""))


def example(text: str) -> forms.TextInput:
    """Return a text field with an example of what goes there."""
    return forms.TextInput({"placeholder": text})


class DescribedFilterSet(django_filters.FilterSet):
    """Filters that can say in words which of them are in use."""

    def described(self) -> list[tuple[str, str]]:
        """Return the active filters as (label, value) for people."""
        self.form.is_valid()
        words = []
        for name, field in self.form.fields.items():
            for value in filter(None, self.data.getlist(name)):
                choices = {str(key): str(label) for key, label in getattr(field, "choices", None) or []}
                shown = value if isinstance(field, forms.ModelMultipleChoiceField) else choices.get(value, value)
                words.append((str(field.label), shown))
        return words


@extend_schema_field(str)
class WorkflowChoice(django_filters.ModelMultipleChoiceFilter):
    """Workflows by their slugs."""


class RunFilter(DescribedFilterSet):
    """Filters for runs. Times mean the end of a finished run and the start of any other."""

    view = django_filters.ChoiceFilter(
        label="Quick view", choices=[(k, v[0]) for k, v in QUICK_VIEWS.items()], method="filter_view"
    )
    q = django_filters.CharFilter(
        label="Find",
        method="filter_q",
        widget=example("Run id, key, customer, correlation id"),
    )
    state = django_filters.MultipleChoiceFilter(
        label="State",
        field_name="status",
        choices=[(s.value, s.value.replace("_", " ").capitalize()) for s in RunStatus],
        widget=forms.CheckboxSelectMultiple,
    )
    workflow = WorkflowChoice(
        label="Workflow",
        field_name="workflow__slug",
        to_field_name="slug",
        queryset=_visible_workflows,
        widget=forms.CheckboxSelectMultiple,
    )
    team = django_filters.CharFilter(
        label="Owner", field_name="workflow__team__slug", widget=example("finance-operations")
    )
    step = django_filters.CharFilter(label="Step", field_name="current_step", widget=example("charge"))
    waiting = django_filters.MultipleChoiceFilter(
        label="Waits for",
        method="filter_waiting",
        choices=[(r.value, r.value.capitalize()) for r in WaitingReason if r],
        widget=forms.CheckboxSelectMultiple,
    )
    dependency = django_filters.CharFilter(
        label="Dependency", method="filter_dependency", widget=example("payments-gateway")
    )
    customer = django_filters.CharFilter(label="Customer", field_name="customer_key")
    amount_min = django_filters.NumberFilter(label="Amount from", field_name="amount", lookup_expr="gte")
    amount_max = django_filters.NumberFilter(label="Amount to", field_name="amount", lookup_expr="lte")
    since = MomentFilter(label="From", method="filter_since", widget=LocalDateTimeInput())
    until = MomentFilter(label="To", method="filter_until", widget=LocalDateTimeInput())

    class Meta:
        model = Run
        fields: list[str] = []

    def filter_view(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        """Narrow to a quick view."""
        return runs.filter(self._quick_view(value))

    def filter_q(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        """Find a run by anything that names it exactly."""
        value = value.strip()
        named = Q(idempotency_key=value) | Q(customer_key=value) | Q(correlation_id=value)
        try:
            return runs.filter(named | Q(pk=UUID(value)))  # a correlation id may read as a UUID too
        except ValueError:
            return runs.filter(named)

    def filter_waiting(self, runs: QuerySet[Run], name: str, value: list[str]) -> QuerySet[Run]:
        """Narrow to the runs that wait for any of these. Naming the status lets its index be used."""
        return runs.filter(status=RunStatus.WAITING, waiting_reason__in=value) if value else runs

    def filter_dependency(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        """Narrow to the runs that wait for a dependency."""
        return runs.filter(waiting_for_dependency(value.strip()))

    def filter_since(self, runs: QuerySet[Run], name: str, value: datetime) -> QuerySet[Run]:
        """Narrow to the runs that ended, or began and did not end, at ``value`` or later."""
        return runs.filter(Q(ended_at__gte=value) | Q(ended_at=None, created_at__gte=value))

    def filter_until(self, runs: QuerySet[Run], name: str, value: datetime) -> QuerySet[Run]:
        """Narrow to the runs that ended, or began and did not end, before ``value``."""
        return runs.filter(Q(ended_at__lt=value) | Q(ended_at=None, created_at__lt=value))

    def _quick_view(self, value: str) -> Q:
        match value:
            case "running":
                return Q(status__in=_UNDER_WAY)
            case "stuck":
                return stuck(clock.now())
            case "failed-today":
                today = timezone.localtime(clock.now()).replace(hour=0, minute=0, second=0, microsecond=0)
                return Q(status__in=[RunStatus.FAILED, RunStatus.ROLLBACK_FAILED], ended_at__gte=today)
            case "person":
                return waiting_for_person()
            case _:
                return Q(started_by=_asker(self.request).label)


class ItemFilter(django_filters.FilterSet):
    """Which of the items."""

    status = django_filters.ChoiceFilter(choices=[(s.value, s.value) for s in ItemStatus])
