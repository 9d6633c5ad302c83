"""Made-up values for the style page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from portal.core import clock
from portal.core.charts import StripCell

STATES = (
    ("ok", "Succeeded"),
    ("running", "Running"),
    ("waiting", "Waiting"),
    ("degraded", "Degraded"),
    ("failed", "Failed"),
    ("blocked", "Blocked"),
    ("paused", "Paused"),
)


class SampleForm(forms.Form):
    """A form with each kind of control and one error."""

    client_id = forms.CharField(label="Client", help_text="As in the ledger, for example C-2041.")
    amount = forms.DecimalField(label="Amount", min_value=0)
    currency = forms.ChoiceField(label="Currency", choices=[("EUR", "EUR"), ("GBP", "GBP"), ("USD", "USD")])
    note = forms.CharField(label="Note", required=False, widget=forms.Textarea)
    urgent = forms.BooleanField(label="Send the receipt at once", required=False)


class SampleReasonForm(forms.Form):
    """What a danger dialog asks for."""

    reason = forms.CharField(
        label="Reason",
        min_length=10,
        help_text="At least 10 characters. Goes into the audit trail.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )


def style_samples() -> dict[str, Any]:
    """Return the context of the style page."""
    now = clock.now()
    states = ["ok"] * 15 + ["degraded", "ok", "failed", "ok", "none", "waiting", "blocked", "paused", "running"]
    return {
        "states": STATES,
        "form": SampleForm({"client_id": "C-2041", "amount": "-3", "currency": "EUR"}),
        "moments": [now - timedelta(seconds=12), now - timedelta(hours=3), now - timedelta(days=12)],
        "soon": now + timedelta(seconds=40),
        "durations": [0.34, 4.2, 134, 98_000],
        "line": [4, 6, 5, 9, 8, None, None, 7, 12, 14, 11, 16, 15],
        "cells": [StripCell(state, f"{i:02}:00, {state}") for i, state in enumerate(states)],
        "json": {"invoice": "INV-20931", "amount": "1240.00", "currency": "EUR", "card": {"number": "•••"}},
        "rows": [
            ("0199-71aa", "Settle invoice", "failed", "Failed", 134, 1240, now - timedelta(minutes=3)),
            ("0199-71ab", "Partner payout", "running", "Running", 12, 88_310, now - timedelta(minutes=9)),
            ("0199-71ac", "Settle invoice", "ok", "Succeeded", 4.2, 312.5, now - timedelta(days=2)),
        ],
    }
