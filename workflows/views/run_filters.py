"""What stands above the list of runs: quick views, the form of filters, and a chip for each active one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django import forms
from django.http import QueryDict

from workflows.filters import QUICK_VIEWS, RunFilter, without_shape
from workflows.models import SavedView

# Of the query string, what is a place in the list and not a filter.
PLACE = ("before", "after", "upto")
MAIN = ("q", "workflow", "state", "since", "until")
_MORE = ("waiting", "dependency", "step", "customer", "amount_min", "amount_max", "team")
# Columns that can be put away; a run's name and state always stay.
COLUMNS: dict[str, str] = {
    "customer": "Customer",
    "amount": "Amount",
    "started": "Started",
    "ended": "Ended",
    "duration": "Duration",
    "usual": "Against usual",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter, and the address of the list without it."""

    label: str
    value: str
    remove_url: str


@dataclass(frozen=True, slots=True)
class QuickView:
    """A named list."""

    title: str
    help: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class FilterBar:
    """Everything above the list."""

    form: forms.Form
    chips: list[Chip]
    views: list[QuickView]
    columns: list[tuple[str, str, bool]]
    """Each column's name, its words, and whether it is shown."""

    @property
    def main(self) -> list[forms.BoundField]:
        """The fields that are always in sight."""
        return [self.form[name] for name in MAIN]

    @property
    def more(self) -> list[forms.BoundField]:
        """The fields behind "More filters"."""
        return [self.form[name] for name in _MORE]

    @property
    def more_in_use(self) -> int:
        """How many of the fields behind "More filters" narrow the list."""
        return sum(bool(self.form.cleaned_data.get(name)) for name in _MORE)


def filter_bar(filters: RunFilter, path: str) -> FilterBar:
    """Return what stands above the list for these filters."""
    query: QueryDict = filters.data
    form = filters.form
    form.is_valid()
    current = form.cleaned_data.get("view") or ""
    kept = QueryDict(mutable=True)
    kept.setlist("columns", query.getlist("columns"))
    views = [QuickView("All", "Every run that you may see", address_of(path, kept), not current)]
    for name, (title, text) in QUICK_VIEWS.items():
        kept["view"] = name
        views.append(QuickView(title, text, address_of(path, kept), name == current))
    shown = columns_shown(query)
    columns = [(name, words, name in shown) for name, words in COLUMNS.items()]
    return FilterBar(form, list(active_chips(form, query, path)), views, columns)


def saved_chips(views: Iterable[SavedView], query: QueryDict, path: str) -> list[QuickView]:
    """Return the named lists as links; the one whose filters are those of the page is marked."""
    here = without_shape(query)
    return [
        QuickView(
            view.name,
            f"Shared by {view.owner.get_full_name() or view.owner}" if view.is_shared else "Your own view",
            address_of(path, QueryDict(view.query)),
            without_shape(QueryDict(view.query)) == here,
        )
        for view in views
    ]


def columns_shown(query: QueryDict) -> set[str]:
    """Return the columns to show: those that the address names, or all."""
    return COLUMNS.keys() & set(query.getlist("columns")) or set(COLUMNS)


def tidied(query: QueryDict) -> QueryDict:
    """Return the query without what says nothing: fields left empty, and a choice of all columns."""
    copy = QueryDict(mutable=True)
    for name, values in query.lists():
        if filled := [value for value in values if value]:
            copy.setlist(name, filled)
    if set(copy.getlist("columns")) >= COLUMNS.keys():
        del copy["columns"]
    return copy


def without_place(query: QueryDict) -> QueryDict:
    """Return the query with its filters, at the beginning of the list."""
    copy = query.copy()
    for name in PLACE:
        copy.pop(name, None)
    return copy


def active_chips(form: forms.Form, query: QueryDict, path: str) -> Iterator[Chip]:
    """Yield a chip for each value of each filter that is in use; quick views show that themselves."""
    for name, field in form.fields.items():
        if name == "view" or not form.cleaned_data.get(name):
            continue
        for value in filter(None, query.getlist(name)):
            rest = without_place(query)
            rest.setlist(name, [other for other in query.getlist(name) if other not in {value, ""}])
            words = _words(field, value)
            yield Chip(str(field.label), words, address_of(path, rest))


def address_of(path: str, query: QueryDict) -> str:
    """Return the address of a list with this query."""
    return f"{path}?{query.urlencode()}" if query.urlencode() else path


def _words(field: forms.Field, value: str) -> str:
    if isinstance(field, forms.ModelMultipleChoiceField):
        return value
    choices = dict(getattr(field, "choices", None) or [])
    return str(choices.get(value, value)).replace("T", " ") if choices else value.replace("T", " ")
