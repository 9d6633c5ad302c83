"""What a person does with a dead letter: replay it, edit and replay it, discard it, bring it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import InvalidInput, InvalidTransition, StaleVersion
from portal.core.permissions import Permission
from portal.core.services.reasons import checked_reason
from workflows.deadletters import reading
from workflows.deadletters.conf import KEPT_FOR, REPLAY_LIMIT
from workflows.deadletters.payload import changes_between
from workflows.deadletters.queries import access_dead_letter
from workflows.deadletters.words import times
from workflows.events.services import replay_message
from workflows.models import DeadLetter

Json = Mapping[str, Any]
_Status = DeadLetter.Status


@transaction.atomic
def replay_dead_letter(
    *, actor: Actor, letter_id: UUID, reason: str, expected_version: int | None = None
) -> DeadLetter:
    """Hand the event to its subscriber again, as it is.

    :param expected_version: the letter's ``replay_count`` that the person saw.
    :raises NotFound: if the actor may not see the letter.
    :raises Forbidden: if the actor may see it but not do this.
    :raises InvalidInput: for a reason of fewer than 10 characters.
    :raises StaleVersion: if it was replayed, and died again, since ``expected_version``.
    :raises InvalidTransition: if it is not open, or has been replayed as often as is sensible.
    """
    reason = checked_reason(reason)
    letter = _taken(actor, letter_id, Permission.REPLAY_DEAD_LETTER, expected_version)
    _refuse_unless(letter, _Status.OPEN)
    if letter.replay_count >= REPLAY_LIMIT:
        raise InvalidTransition(
            f"It was replayed {times(letter.replay_count)} and died each time: edit or discard it."
        )
    replay_message(letter)
    _audit(actor, "workflows.dead_letter.replay", letter, reason, _Status.OPEN, replays=letter.replay_count)
    return letter


@transaction.atomic
def edit_and_replay_dead_letter(
    *, actor: Actor, letter_id: UUID, payload: Json, reason: str, expected_version: int | None = None
) -> DeadLetter:
    """Hand the event to its subscriber with another payload; the difference is kept with the letter.

    A sensitive value that the actor may not see, and left as it was shown, stays as it is.

    :raises NotFound: if the actor may not see the letter.
    :raises Forbidden: if the actor may see it but not do this.
    :raises InvalidInput: for a short reason, or a payload that does not fit; ``payload.<field>`` says where.
    :raises StaleVersion: if it was replayed, and died again, since ``expected_version``.
    :raises InvalidTransition: if it is not open.
    """
    reason = checked_reason(reason)
    letter = _taken(actor, letter_id, Permission.EDIT_DEAD_LETTER, expected_version)
    _refuse_unless(letter, _Status.OPEN)
    payload = reading.completed(actor, letter, payload)
    if problems := reading.problems_of(letter, payload):
        raise InvalidInput("The payload does not fit what its subscriber reads.", fields=problems)
    changes = [change.as_json() for change in changes_between(letter.payload, payload)]
    if not changes:
        raise InvalidInput(fields={"payload": ["Nothing is changed. To send it as it is, replay it."]})
    letter.edits = [
        *letter.edits,
        {"at": now().isoformat(), "by": actor.label, "reason": reason, "changes": changes},
    ]
    replay_message(letter, payload=payload)
    fields = [change["field"] for change in changes]
    _audit(actor, "workflows.dead_letter.edit", letter, reason, _Status.OPEN, changed=fields)
    return letter


@transaction.atomic
def discard_dead_letter(
    *, actor: Actor, letter_id: UUID, reason: str, expected_version: int | None = None
) -> DeadLetter:
    """Give the event up for this subscriber. It can be brought back for 30 days.

    :raises NotFound: if the actor may not see the letter.
    :raises Forbidden: if the actor may see it but not do this.
    :raises InvalidInput: for a reason of fewer than 10 characters.
    :raises StaleVersion: if it was replayed, and died again, since ``expected_version``.
    :raises InvalidTransition: if it is not open.
    """
    reason = checked_reason(reason)
    letter = _taken(actor, letter_id, Permission.DISCARD_DEAD_LETTER, expected_version)
    _refuse_unless(letter, _Status.OPEN)
    letter.status = _Status.DISCARDED
    letter.discarded_at, letter.discarded_by, letter.discard_reason = now(), actor.label[:200], reason
    letter.inbox.status = letter.inbox.Status.DISCARDED
    _save(letter)
    _audit(actor, "workflows.dead_letter.discard", letter, reason, _Status.OPEN)
    return letter


@transaction.atomic
def restore_dead_letter(
    *, actor: Actor, letter_id: UUID, reason: str, expected_version: int | None = None
) -> DeadLetter:
    """Open a discarded letter again. Nothing is sent.

    :raises NotFound: if the actor may not see the letter.
    :raises Forbidden: if the actor may see it but not do this.
    :raises InvalidInput: for a reason of fewer than 10 characters.
    :raises InvalidTransition: if it is not discarded.
    """
    reason = checked_reason(reason)
    letter = _taken(actor, letter_id, Permission.DISCARD_DEAD_LETTER, expected_version)
    _refuse_unless(letter, _Status.DISCARDED)
    letter.status = _Status.OPEN
    letter.discarded_at, letter.discarded_by, letter.discard_reason = None, "", ""
    letter.inbox.status = letter.inbox.Status.DEAD
    _save(letter)
    _audit(actor, "workflows.dead_letter.restore", letter, reason, _Status.DISCARDED)
    return letter


def remove_old_letters() -> int:
    """Remove what was discarded 30 days ago; returns how many. The inbox row stays and says that it was. A chore."""
    old = DeadLetter.objects.filter(status=_Status.DISCARDED, discarded_at__lt=now() - KEPT_FOR)
    removed, _ = old.delete()
    return removed


def _taken(actor: Actor, letter_id: UUID, permission: Permission, expected_version: int | None) -> DeadLetter:
    """Return the letter, locked until the transaction ends, if the actor may do this with it as it was seen."""
    access_dead_letter(actor, letter_id, permission=permission)
    letter = (
        DeadLetter.objects.select_for_update(of=("self", "inbox"))
        .select_related("message", "workflow", "inbox")
        .get(pk=letter_id)
    )
    if expected_version is not None and letter.replay_count != expected_version:
        raise StaleVersion(
            "It was replayed since you looked at it" + (" and died again." if letter.status == _Status.OPEN else ".")
        )
    return letter


def _refuse_unless(letter: DeadLetter, status: DeadLetter.Status) -> None:
    if letter.status != status:
        raise InvalidTransition(
            f"This dead letter is {letter.get_status_display().lower()}, not {status.label.lower()}."
        )


def _save(letter: DeadLetter) -> None:
    letter.inbox.save(update_fields=["status"])
    letter.save(update_fields=["status", "discarded_at", "discarded_by", "discard_reason"])


def _audit(
    actor: Actor, action: str, letter: DeadLetter, reason: str, before: DeadLetter.Status, **after: object
) -> None:
    record(
        actor=actor,
        action=action,
        object_type="dead_letter",
        object_id=str(letter.pk),
        object_label=f"{letter.message.name} for {letter.consumer}",
        reason=reason,
        before={"status": before.value},
        after={"status": str(letter.status), **after},
    )
