"""What people type when they break a lock. Shape only: the service decides."""

from __future__ import annotations

from django import forms

from portal.core.services.reasons import MINIMUM_LENGTH


class BreakForm(forms.Form):
    """A reason, and the fencing token of the holding that the person saw."""

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
    token = forms.IntegerField(widget=forms.HiddenInput)
