"""What people type when they act on a schedule. Shape only: the services decide."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import forms

from portal.core.clock import now
from portal.core.ids import uuid7
from portal.core.services.reasons import MINIMUM_LENGTH


def _token() -> str:
    return uuid7().hex


class ScheduleForm(forms.Form):
    """A reason, and a token that makes a repeat harmless."""

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
    token = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput, initial=_token)


class PauseForm(ScheduleForm):
    """For how long nothing is started."""

    hours = forms.TypedChoiceField(
        label="For how long",
        coerce=int,
        initial=24,
        choices=[
            (1, "1 hour"),
            (4, "4 hours"),
            (24, "1 day"),
            (72, "3 days"),
            (168, "7 days"),
            (0, "Until somebody resumes it"),
        ],
        help_text="It goes on by itself then. You may resume it earlier.",
    )
    field_order = ["hours", "reason"]

    def until(self) -> datetime | None:
        """Return when the pause ends; None if a person ends it."""
        hours: int = self.cleaned_data["hours"]
        return now() + timedelta(hours=hours) if hours else None


class TimeForm(ScheduleForm):
    """One of the schedule's times."""

    due_at = forms.CharField(widget=forms.HiddenInput)

    def clean_due_at(self) -> datetime:
        """Return the time, which must say its zone."""
        try:
            found = datetime.fromisoformat(self.cleaned_data["due_at"])
        except ValueError as exc:
            raise forms.ValidationError("Open this dialog again.") from exc
        if found.tzinfo is None:
            raise forms.ValidationError("Open this dialog again.")
        return found
