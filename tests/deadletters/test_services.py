"""What people do with a dead letter: who may, what it leaves behind, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from portal.core.actor import Actor
from portal.core.clock import now
from portal.core.errors import Forbidden, InvalidInput, InvalidTransition, NotFound, StaleVersion
from portal.core.models import AuditEntry
from tests.deadletters.shop import make_letter
from tests.personas import Personas
from workflows.deadletters import reading
from workflows.deadletters.conf import KEPT_FOR, REPLAY_LIMIT
from workflows.deadletters.services import (
    discard_dead_letter,
    edit_and_replay_dead_letter,
    remove_old_letters,
    replay_dead_letter,
    restore_dead_letter,
)
from workflows.models import DeadLetter, InboxMessage
from workflows.redaction import HIDDEN

pytestmark = pytest.mark.django_db
REASON = "The client is in the register now"
Status = DeadLetter.Status


def fixed(letter: DeadLetter, **changes: Any) -> dict[str, Any]:
    return {**letter.payload, "amount": "250.00", **changes}


def edit(actor: Actor, letter: DeadLetter, payload: Any = None) -> DeadLetter:
    payload = fixed(letter, client="client-9") if payload is None else payload
    return edit_and_replay_dead_letter(actor=actor, letter_id=letter.pk, payload=payload, reason=REASON)


ACTS: dict[str, Callable[[Actor, DeadLetter], DeadLetter]] = {
    "replay": lambda actor, letter: replay_dead_letter(actor=actor, letter_id=letter.pk, reason=REASON),
    "edit": edit,
    "discard": lambda actor, letter: discard_dead_letter(actor=actor, letter_id=letter.pk, reason=REASON),
}


def test_a_replay_puts_it_back_and_is_audited(personas: Personas) -> None:
    letter = replay_dead_letter(actor=personas.actor("support"), letter_id=make_letter().pk, reason=REASON)
    letter.refresh_from_db()
    assert (letter.status, letter.replay_count) == (Status.REPLAYED, 1)
    inbox = InboxMessage.objects.get(pk=letter.inbox_id)
    assert (inbox.status, inbox.attempts, inbox.payload) == (InboxMessage.Status.PENDING, 0, None)
    assert inbox.next_attempt_at is not None
    entry = AuditEntry.objects.get(action="workflows.dead_letter.replay")
    assert (entry.object_id, entry.reason) == (str(letter.pk), REASON)


def test_a_letter_that_was_replayed_too_often_wants_a_change(personas: Personas) -> None:
    letter = make_letter(replay_count=REPLAY_LIMIT)
    with pytest.raises(InvalidTransition, match="5 times"):
        replay_dead_letter(actor=personas.actor("operator"), letter_id=letter.pk, reason=REASON)
    assert edit(personas.actor("operator"), letter).status == Status.REPLAYED


def test_an_edit_keeps_the_difference_and_leaves_the_event_as_it_was(personas: Personas) -> None:
    letter = make_letter(payload={"amount": "0.00"})
    before = letter.message.payload
    edit(personas.actor("operator"), letter, fixed(letter))
    letter.refresh_from_db()
    assert letter.payload == letter.inbox.payload == fixed(letter)
    assert letter.message.payload == before
    (kept,) = letter.edits
    assert (kept["by"], kept["reason"]) == ("Operator", REASON)
    assert kept["changes"] == [{"field": "amount", "before": "0.00", "after": "250.00"}]
    entry = AuditEntry.objects.get(action="workflows.dead_letter.edit")
    assert entry.after == {"status": "replayed", "changed": ["amount"]}


def test_an_edit_must_fit_what_the_subscriber_reads(personas: Personas) -> None:
    letter = make_letter()
    payload = fixed(letter, amount="-3")
    del payload["client"]
    with pytest.raises(InvalidInput) as caught:
        edit(personas.actor("operator"), letter, payload)
    assert caught.value.fields.keys() == {"payload.amount", "payload.client"}
    letter.refresh_from_db()
    assert (letter.status, letter.edits) == (Status.OPEN, [])


def test_an_edit_that_changes_nothing_is_no_edit(personas: Personas) -> None:
    letter = make_letter()
    with pytest.raises(InvalidInput, match="not valid"):
        edit(personas.actor("operator"), letter, letter.payload)


def test_who_may_not_see_a_value_neither_changes_nor_moves_it(
    personas: Personas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "may", lambda *asked: False)
    actor, letter = personas.actor("operator"), make_letter()
    shown = reading.shown_payload(actor, letter)
    assert shown["iban"] == HIDDEN
    with pytest.raises(InvalidInput) as caught:
        edit(actor, letter, shown | {"client": HIDDEN})
    assert "hidden" in str(caught.value.fields)
    edited = edit(actor, letter, shown | {"client": "client-9"})
    assert edited.payload == letter.payload | {"client": "client-9"}


def test_discarding_is_taken_back_until_the_chore_comes(personas: Personas) -> None:
    actor = personas.actor("operator")
    letter = ACTS["discard"](actor, make_letter())
    letter.refresh_from_db()
    assert (letter.status, letter.discard_reason) == (Status.DISCARDED, REASON)
    assert InboxMessage.objects.get().status == InboxMessage.Status.DISCARDED
    assert remove_old_letters() == 0
    letter = restore_dead_letter(actor=actor, letter_id=letter.pk, reason=REASON)
    letter.refresh_from_db()
    assert (letter.status, letter.discarded_at, letter.inbox.status) == (Status.OPEN, None, InboxMessage.Status.DEAD)


def test_what_was_discarded_a_month_ago_is_removed(personas: Personas) -> None:
    kept, old = make_letter(), make_letter()
    DeadLetter.objects.filter(pk=old.pk).update(
        status=Status.DISCARDED, discarded_at=now() - KEPT_FOR - timedelta(hours=1)
    )
    assert remove_old_letters() == 1
    assert list(DeadLetter.objects.values_list("pk", flat=True)) == [kept.pk]
    assert InboxMessage.objects.filter(pk=old.inbox_id).exists(), "that it was discarded stays known"


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("status", [Status.REPLAYED, Status.DISCARDED])
def test_only_an_open_letter_can_be_acted_on(personas: Personas, name: str, status: DeadLetter.Status) -> None:
    discarded_at = now() if status == Status.DISCARDED else None
    letter = make_letter(status=status, discarded_at=discarded_at)
    with pytest.raises(InvalidTransition):
        ACTS[name](personas.actor("operator"), letter)


def test_an_open_letter_cannot_be_brought_back(personas: Personas) -> None:
    with pytest.raises(InvalidTransition):
        restore_dead_letter(actor=personas.actor("operator"), letter_id=make_letter().pk, reason=REASON)


def test_a_letter_that_died_again_since_is_left_alone(personas: Personas) -> None:
    letter = make_letter(replay_count=1)
    with pytest.raises(StaleVersion, match="died again"):
        discard_dead_letter(actor=personas.actor("operator"), letter_id=letter.pk, reason=REASON, expected_version=0)


@pytest.mark.parametrize("name", ACTS)
def test_a_reason_is_needed(personas: Personas, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.deadletters.test_services.REASON", " because  ")
    letter = make_letter()
    with pytest.raises(InvalidInput):
        ACTS[name](personas.actor("operator"), letter)
    assert DeadLetter.objects.get().status == Status.OPEN


@pytest.mark.parametrize(
    ("name", "who", "error"),
    [
        ("replay", "viewer", Forbidden),
        ("replay", "manager", Forbidden),
        ("edit", "support", Forbidden),
        ("discard", "support", Forbidden),
        ("replay", "outsider", NotFound),
        ("discard", "team_operator", NotFound),  # of another team
    ],
)
def test_rights_are_those_of_the_subscribers_workflow(
    personas: Personas, name: str, who: str, error: type[Exception]
) -> None:
    letter = make_letter()
    with pytest.raises(error):
        ACTS[name](personas.actor(who), letter)
    assert DeadLetter.objects.get().status == Status.OPEN
    assert not AuditEntry.objects.filter(object_type="dead_letter").exists()
