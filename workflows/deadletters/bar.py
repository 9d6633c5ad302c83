"""What stands above the list of dead letters: a view for each status, the filters, and a chip for each in use."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.http import QueryDict

from workflows.deadletters.filters import ANY, DeadLetterFilter
from workflows.models import DeadLetter
from workflows.views.run_filters import Chip, QuickView, active_chips, address_of

FIELDS = ("q", "consumer", "event", "reason", "customer")
_Status = DeadLetter.Status
_VIEWS = (
    ("", "Open", "Those that wait for somebody to replay or discard them"),
    (_Status.REPLAYED.value, "Replayed", "Those that were handed over again and have not come back"),
    (_Status.DISCARDED.value, "Discarded", "Those that were given up, for 30 days"),
    (ANY, "All", "Every dead letter that you may see"),
)


@dataclass(frozen=True, slots=True)
class FilterBar:
    """Everything above the list."""

    form: forms.Form
    chips: list[Chip]
    views: list[QuickView]
    status: str

    @property
    def fields(self) -> list[forms.BoundField]:
        """The fields of the form, the status apart."""
        return [self.form[name] for name in FIELDS]

    @property
    def is_plain(self) -> bool:
        """Whether the list shows all that is open, and nothing else."""
        return not self.chips and not self.status


def filter_bar(filters: DeadLetterFilter, path: str) -> FilterBar:
    """Return what stands above the list for these filters."""
    query: QueryDict = filters.data
    form = filters.form
    form.is_valid()
    status = form.cleaned_data.get("status") or ""
    views = [
        QuickView(title, text, address_of(path, QueryDict(f"status={value}" if value else "")), value == status)
        for value, title, text in _VIEWS
    ]
    chips = [chip for chip in active_chips(form, query, path) if chip.label != filters.form["status"].label]
    return FilterBar(form, chips, views, status)
