"""What people type when they start a bulk operation or lay a hand on one."""

from __future__ import annotations

from typing import Any

from django import forms

from portal.core.ids import uuid7
from portal.core.services.reasons import MINIMUM_LENGTH
from workflows.bulk.conf import RATES
from workflows.bulk.preview import DryRun

_ABOUT_HOURS = 90  # minutes, from which on an estimate is told in hours


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(
        label="Reason",
        min_length=MINIMUM_LENGTH,
        max_length=2000,
        widget=forms.Textarea({"rows": 2}),
        help_text=f"At least {MINIMUM_LENGTH} characters. Kept in the audit trail with your name.",
        error_messages={
            "required": "Say why, for the people who read the audit trail.",
            "min_length": f"Say a little more: at least {MINIMUM_LENGTH} characters.",
        },
    )


class StartForm(ReasonForm):
    """How fast and why; and, hidden, the dry run that is confirmed and a name that makes a repeat harmless."""

    per_minute = forms.TypedChoiceField(label="How fast", coerce=int, choices=[(rate, str(rate)) for rate in RATES])
    count = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    digest = forms.RegexField(r"^[0-9a-f]{64}$", widget=forms.HiddenInput)
    token = forms.UUIDField(widget=forms.HiddenInput)
    field_order = ["per_minute", "reason"]

    def offer(self, found: DryRun) -> None:
        """Say how long each rate takes for what the dry run found."""
        self.fields["per_minute"].choices = [  # type: ignore[attr-defined]
            (rate, f"{rate:,} a minute ({_about(found.count / rate)})".replace(",", " ")) for rate in RATES
        ]


def start_form(found: DryRun, typed: dict[str, Any] | None = None) -> StartForm:
    """Return the form for a dry run; with what was typed before, where the set has changed meanwhile."""
    seen = {"count": found.count, "digest": found.digest}
    fresh = {"per_minute": found.command.per_minute, "token": str(uuid7()), **seen}
    form = StartForm(typed | seen) if typed else StartForm(initial=fresh)
    form.offer(found)
    return form


def _about(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    if minutes < _ABOUT_HOURS:
        return f"about {round(minutes)} min"
    return f"about {round(minutes / 60)} h"
