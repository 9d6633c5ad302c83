"""What a dead letter's subscriber reads: which fields of the payload do not fit, and which few people may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.deadletters.payload import holds_hidden, put_back
from workflows.definition import contracts
from workflows.definition.contracts import Contract
from workflows.definition.sensitive import sensitive_fields
from workflows.events.consumers import consumers_of
from workflows.events.reading import misfitting_fields
from workflows.models import DeadLetter
from workflows.redaction import hide, hide_all

Json = Any


def reader_of(letter: DeadLetter) -> Contract | None:
    """Return the contract that the subscriber reads the event by, or the sender's; None if no code here has one."""
    event = letter.message.name
    versions = [each.version for each in consumers_of(event) if each.label == letter.consumer]
    return contracts.find(event, versions[0] if versions else letter.message.version)


def problems_of(letter: DeadLetter, payload: Json) -> dict[str, list[str]]:
    """Return what its subscriber cannot read, by ``payload.<field>``; nothing if it fits, or no code can tell."""
    contract = reader_of(letter)
    problems: dict[str, list[str]] = {}
    if holds_hidden(payload):
        problems["payload"] = [
            "It holds a value that is hidden from you where it was not. Leave “•••” where it stood."
        ]
    if contract is None:
        return problems
    try:
        contract.model.model_validate(payload)
    except ValidationError as exc:
        for field, told in misfitting_fields(exc).items():
            problems["payload" if field == "payload" else f"payload.{field}"] = told
    return problems


def sensitive_in(letter: DeadLetter) -> list[str] | None:
    """Return which fields few people may see; None where no code can tell, so that all count as such."""
    read, sent = reader_of(letter), contracts.find(letter.message.name, letter.message.version)
    if read is None and sent is None:
        return None
    return sorted({field for each in (read, sent) if each for field in sensitive_fields(each.model)})


def shown_payload(actor: Actor, letter: DeadLetter) -> Json:
    """Return the payload as this person may see it."""
    if may(actor, Permission.VIEW_PAYLOAD, letter):
        return letter.payload
    fields = sensitive_in(letter)
    return hide_all(letter.payload) if fields is None else hide(letter.payload, fields)


def completed(actor: Actor, letter: DeadLetter, payload: Mapping[str, Json]) -> Json:
    """Return an edited payload with the values that its editor could not see put back."""
    return put_back(payload, shown_payload(actor, letter), letter.payload)
