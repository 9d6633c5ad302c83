"""Tags of the pages about runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils.html import conditional_escape, format_html_join
from django.utils.safestring import SafeString

from portal.core.durations import duration_words
from portal.core.templatetags.display import moment
from workflows.outcome import Part, Sentence

register = template.Library()


@register.simple_tag
def sentence(parts: Sentence) -> SafeString:
    """Write a sentence; its moments as times with a tooltip, without the date if they are today."""
    return format_html_join("", "{}", ((_written(part),) for part in parts))


def _written(part: Part) -> str:
    if isinstance(part, timedelta):
        return duration_words(part)
    if isinstance(part, datetime):
        return moment(part, "clock")
    return conditional_escape(part)
