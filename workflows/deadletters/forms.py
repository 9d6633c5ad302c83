"""What people type when they act on a dead letter. Shape only: the services decide."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms

from workflows.forms import CommandForm

REASONS: dict[str, Sequence[str]] = {
    "replay": ("The cause is fixed; the event can be acted on now.", "The service answers again."),
    "edit": ("The sender confirmed the right values.", "A field was missing; added by hand."),
    "discard": ("Settled by hand outside of the portal.", "A test event that means nothing."),
    "restore": ("Discarded by mistake.", "It is needed after all."),
}


class PayloadField(forms.JSONField):
    """An object as indented JSON. What was typed comes back as it was typed."""

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed."""
        return data

    def prepare_value(self, value: Any) -> Any:
        """Return what the field shows."""
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        """Return the object."""
        payload = super().to_python(value)
        if payload is not None and not isinstance(payload, dict):
            raise forms.ValidationError("This is JSON, but not an object: it begins with { and ends with }.")
        try:
            text = json.dumps(payload, allow_nan=False)
        except ValueError as exc:
            raise forms.ValidationError("NaN and Infinity are not JSON.") from exc
        if "\\u0000" in text:
            raise forms.ValidationError("It holds the character U+0000, which cannot be stored.")
        return payload


class EditForm(CommandForm):
    """The event as its subscriber gets it."""

    payload = PayloadField(
        label="What the event says",
        widget=forms.Textarea({"rows": 16, "spellcheck": "false", "data-mono": ""}),
        help_text="As JSON.",
        error_messages={"invalid": "This is not JSON.", "required": "Say what the event says."},
    )
    field_order = ["payload", "reason"]
