"""What people type when they act on runs. Shape only: services decide whether it is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from portal.core.ids import uuid7

MIN_REASON = 10
OWN_KEY = "form-"
"""What the keys begin with that the start form makes for itself."""

REASONS: dict[str, Sequence[str]] = {
    "approve": ("Checked against the contract.", "Agreed with the client on the phone."),
    "reject": ("The amount is not what was agreed.", "The details of the payee have changed."),
    "resume": ("The cause is fixed, the run can go on.", "The service answers again."),
    "retry": ("The cause is fixed; the step can be tried again.", "The data was corrected."),
    "skip": ("Done by hand outside of the portal.", "Not needed for this customer."),
    "pause": ("Waiting for an answer from the customer.", "Investigating before it goes further."),
    "cancel": ("The customer withdrew the order.", "Started by mistake."),
    "rollback": ("The amount was wrong.", "The customer withdrew the order.", "Started twice by mistake."),
    "decide": ("Checked in the other system's records.", "Confirmed by the partner."),
}


def _token() -> str:
    return uuid7().hex


class CommandForm(forms.Form):
    """What every command asks for: a reason, the version that was seen, and a token that makes a repeat harmless."""

    reason = forms.CharField(
        label="Reason",
        min_length=MIN_REASON,
        max_length=2000,
        widget=forms.Textarea({"rows": 2}),
        help_text=f"At least {MIN_REASON} characters. Kept in the audit trail with your name.",
        error_messages={
            "required": "Say why, for the people who read the audit trail.",
            "min_length": f"Say a little more: at least {MIN_REASON} characters.",
        },
    )
    expected_version = forms.IntegerField(widget=forms.HiddenInput)
    token = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput, initial=_token)


class StepCommandForm(CommandForm):
    """A command on one step."""

    step = forms.CharField(widget=forms.HiddenInput)


class OutputField(forms.JSONField):
    """JSON that may be left out: empty is None, and None is shown as empty."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class OutputForm(StepCommandForm):
    """A command that may have to say what the step would have given."""

    output = OutputField(
        label="Output",
        required=False,
        widget=forms.Textarea({"rows": 4, "spellcheck": "false", "data-mono": ""}),
        help_text="What the step would have given, as JSON.",
        error_messages={"invalid": "This is not JSON."},
    )
    field_order = ["output", "reason"]

    def describe_output(self, *, is_taken: bool, known_fields: Sequence[str]) -> None:
        """Say which fields the output has; without a step that takes it there is nothing to give."""
        if not is_taken:
            del self.fields["output"]
        elif known_fields:
            fields = ", ".join(known_fields)
            self.fields["output"].help_text = f"As JSON. In the latest run it has these fields: {fields}."


class DecideForm(OutputForm):
    """Whether an uncertain step happened."""

    happened = forms.TypedChoiceField(
        label="What happened?",
        choices=[("yes", "It happened: go on after it"), ("no", "It did not happen: do it again")],
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
        error_messages={"required": "Say whether it happened."},
    )
    field_order = ["happened", "output", "reason"]


class RollBackForm(CommandForm):
    """How far to roll back."""

    to_step = forms.ChoiceField(label="How far", required=False)
    field_order = ["to_step", "reason"]

    def offer(self, steps: Sequence[tuple[str, str]]) -> None:
        """Offer the steps (name, title) that the rollback may stop at."""
        choices = [("", "The whole run"), *((name, f"Back to “{title}”, which stays") for name, title in steps)]
        self.fields["to_step"].choices = choices  # type: ignore[attr-defined]


class StartForm(forms.Form):
    """What belongs to the start of a run besides its input."""

    idempotency_key = forms.CharField(
        label="Idempotency key",
        required=False,
        max_length=200,
        help_text="The same key starts the run only once, for example an invoice number. "
        "Without one, this form makes its own, so that a double click starts one run.",
    )
    reason = forms.CharField(label="Reason", required=False, max_length=2000, widget=forms.Textarea({"rows": 2}))
    token = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput, initial=_token)

    def key(self) -> str:
        """Return the key to start with: the typed one, or this form's own."""
        return self.cleaned_data["idempotency_key"] or f"{OWN_KEY}{self.cleaned_data['token']}"
