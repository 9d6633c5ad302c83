"""What people type when they act on a breaker. Shape only: the services decide."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import forms

from portal.core.clock import now
from portal.core.services.reasons import MINIMUM_LENGTH


class ResetForm(forms.Form):
    """A reason, and since when the breaker is in the state that the person saw."""

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
    seen_since = forms.CharField(widget=forms.HiddenInput)

    def clean_seen_since(self) -> datetime:
        """Return the time in full precision, which Django's own field would cut off."""
        try:
            return datetime.fromisoformat(self.cleaned_data["seen_since"])
        except ValueError as exc:
            raise forms.ValidationError("Open this dialog again.") from exc


class ForceForm(ResetForm):
    """For how long the breaker is held."""

    minutes = forms.TypedChoiceField(
        label="For how long",
        coerce=int,
        initial=60,
        choices=[(15, "15 minutes"), (60, "1 hour"), (240, "4 hours"), (1440, "1 day"), (4320, "3 days")],
        help_text="It ends by itself. You may end it earlier.",
    )
    field_order = ["minutes", "reason"]

    def until(self) -> datetime:
        """Return when the forced state ends."""
        return now() + timedelta(minutes=self.cleaned_data["minutes"])
