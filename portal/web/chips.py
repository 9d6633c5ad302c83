"""A chip for each active filter, with the address of the list without it."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.http import QueryDict

PLACE = ("before", "after")  # a place in the list, not a filter


@dataclass(frozen=True, slots=True)
class Chip:
    """An active filter."""

    label: str
    value: str
    remove_url: str


def active_filters(form: forms.Form, query: QueryDict, path: str) -> list[Chip]:
    """Return the chips for the filters that are set in ``query``."""
    chips = []
    for name, field in form.fields.items():
        value = query.get(name, "")
        if not value:
            continue
        rest = query.copy()
        for gone in (name, *PLACE):
            rest.pop(gone, None)
        words = str(dict(getattr(field, "choices", [])).get(value, value)).replace("T", " ")
        chips.append(Chip(str(field.label), words, f"{path}?{rest.urlencode()}" if rest else path))
    return chips
