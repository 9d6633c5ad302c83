"""Tags of the design system that need more than an include. Built in: no ``{% load %}``. See templates/README.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.forms import BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from portal.core import charts, clock, moments
from portal.core.durations import duration_words

register = template.Library()

NOTHING = "\N{EN DASH}"


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """Draw an icon of the sprite (components/sprite.html). Decoration: the word stands beside it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="#i-{}"/></svg>', extra, name
    )


@register.simple_tag
def moment(value: datetime | None, form: str = "relative", quiet: bool = False) -> SafeString | str:
    """Show a time. ``form``: relative (absolute beyond a day), absolute, precise (with seconds), clock or minute.

    The last two are for sentences, with and without seconds: they leave the date out if it is today.
    ``quiet=True`` leaves it out of the tab order, for times that stand a second time elsewhere on the page.
    """
    if value is None:
        return NOTHING
    words = {
        "relative": lambda: moments.relative_words(value, clock.now()),
        "absolute": lambda: moments.absolute_words(value),
        "precise": lambda: moments.absolute_words(value, seconds=True),
        "clock": lambda: moments.clock_words(value),
        "minute": lambda: moments.minute_words(value),
    }[form]()
    return format_html(
        '<time datetime="{}" data-tip="{}"{}{}>{}</time>',
        value.isoformat(),
        moments.full_words(value),
        mark_safe(" data-relative") if form == "relative" else "",
        "" if quiet else mark_safe(' tabindex="0"'),
        words,
    )


@register.filter
def duration(value: timedelta | float | None) -> str:
    """Show a timedelta, or seconds, as "2 m 14 s"."""
    if value is None:
        return NOTHING
    return duration_words(value if isinstance(value, timedelta) else timedelta(seconds=value))


@register.filter
def percent(value: float | None, places: int = 1) -> str:
    """Show a share (0 to 1) as "99.5 %". Never rounds up to 100 %."""
    if value is None:
        return NOTHING
    shown = f"{value * 100:.{places}f}"
    if value < 1 and float(shown) >= 100:
        shown = f"{100 - 10**-places:.{places}f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} %"


@register.filter
def capped(value: int, limit: int = 10_000) -> str:
    """Show a count with thin spaces, and "10 000+" where the count stopped there."""
    words = f"{min(value, limit):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{words}+" if value >= limit else words


@register.filter
def pretty_json(value: object) -> str:
    """Show a JSON value, indented, its keys in the order they came."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.simple_tag
def widget(field: BoundField, **attributes: str) -> SafeString:
    """Draw a form field's control in the house style; BoundField adds aria-describedby and aria-invalid.

    ``data_filter=""`` becomes the attribute ``data-filter``.
    """
    extra: dict[str, str | bool] = {name.replace("_", "-"): value for name, value in attributes.items()}
    is_choice = getattr(field.field.widget, "input_type", "") in {"checkbox", "radio"}
    return field.as_widget(attrs=extra if is_choice else {"class": "input", **extra})


@register.inclusion_tag("components/sparkline.html")
def sparkline(values: Sequence[float | None], summary: str) -> dict[str, Any]:
    """Draw a small line. ``summary`` is the sentence that says the same in words."""
    return {"chart": charts.sparkline(values), "summary": summary}


@register.inclusion_tag("components/strip.html")
def strip(cells: Sequence[charts.StripCell], summary: str) -> dict[str, Any]:
    """Draw a row of states over time, oldest first."""
    return {
        "cells": charts.strip_cells(cells),
        "width": max(len(cells) * (charts.CELL + charts.GAP) - charts.GAP, 1),
        "height": charts.STRIP_HEIGHT,
        "cell": charts.CELL,
        "summary": summary,
    }
