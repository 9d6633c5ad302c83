"""Reading an event's payload as the version that its reader takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from workflows.definition.event import Event, contract_of
from workflows.errors import InvalidData

E = TypeVar("E", bound=Event)


class PayloadDoesNotFit(InvalidData):
    """The payload is not what its reader takes."""

    code = "contract"


def read_event(event: type[E], payload: Mapping[str, Any], version: int) -> E:
    """Return the payload as an ``event``, whichever version of it was sent.

    :raises PayloadDoesNotFit: naming each field that does not fit, without its value.
    """
    try:
        return event.model_validate(payload)
    except ValidationError as exc:
        contract = contract_of(event)
        fields = misfitting_fields(exc)
        told = "; ".join(f"{field}: {problems[0]}" for field, problems in fields.items())
        sent = "" if version == contract.version else f" (it was sent as version {version})"
        raise PayloadDoesNotFit(f"The payload does not fit {contract}{sent}. {told}") from None


def misfitting_fields(error: ValidationError) -> dict[str, list[str]]:
    """Return what is wrong with each field, as a form or an API tells it."""
    fields: dict[str, list[str]] = {}
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        fields.setdefault(".".join(str(part) for part in each["loc"]) or "payload", []).append(each["msg"])
    return fields
