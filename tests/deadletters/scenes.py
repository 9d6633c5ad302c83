"""Dead letters as on an ordinary day and on a bad one, for the pictures of the whole portal."""

from __future__ import annotations

from datetime import timedelta

from portal.core.actor import Actor
from portal.core.clock import now
from tests.deadletters.shop import make_event, make_letter, make_missed, subscriber
from tests.factories import make_run
from workflows.deadletters.services import discard_dead_letter, edit_and_replay_dead_letter, replay_dead_letter
from workflows.events.endings import bury
from workflows.models import DeadLetter, InboxMessage, OutboxMessage

_UNKNOWN_CLIENT = "No client “{}” in the register of clients"


def some_are_settled(actor: Actor) -> None:
    """Two letters that somebody has dealt with."""
    replayed, discarded = make_letter(), make_letter()
    replay_dead_letter(actor=actor, letter_id=replayed.pk, reason="The register of clients is complete again.")
    run = make_run(subscriber(), at="book", ago=timedelta(minutes=3))
    InboxMessage.objects.filter(pk=replayed.inbox_id).update(
        status="handled", handled_at=now(), run=run, next_attempt_at=None
    )
    discard_dead_letter(actor=actor, letter_id=discarded.pk, reason="A test payment of the bank, booked by nobody.")


def many_are_dead(actor: Actor) -> None:
    """Letters that died of three causes, more by the hour; one was edited and died again."""
    for minutes in (4, 9, 17, 28, 55, 70, 200, 1800):
        make_letter(payload={"amount": "0.00"}, died_at=now() - timedelta(minutes=minutes))
    for client, minutes in (("orchard-trust", 12), ("orchard-trust", 31), ("quay-partners", 95)):
        make_letter(
            error=_UNKNOWN_CLIENT.format(client),
            reason=DeadLetter.Reason.REJECTED,
            died_at=now() - timedelta(minutes=minutes),
        )
    again = make_letter(payload={"amount": "0.00"}, died_at=now() - timedelta(minutes=40))
    edit_and_replay_dead_letter(
        actor=actor,
        letter_id=again.pk,
        payload=again.payload | {"amount": "250.00", "iban": "DE75512108001245126199"},
        reason="The bank sent the amount by mail, and a new account with it.",
    )
    inbox = InboxMessage.objects.select_related("message", "workflow").get(pk=again.inbox_id)
    inbox.attempts = 5
    bury(
        inbox,
        DeadLetter.Reason.EXHAUSTED,
        {
            "type": "TransientError",
            "code": "transient",
            "message": "The ledger is locked for the end of the month",
            "context": {"ledger": "client-accounts"},
            "chain": [{"type": "LedgerClosed", "message": "closed until 21 November"}],
            "stack": [],
        },
    )
    for hours in (0.2, 0.7, 5, 30, 30, 200):
        make_missed(overdue=timedelta(hours=hours))
    OutboxMessage.objects.filter(pk__in=[make_event().pk for _ in range(3)]).update(routed_at=None)
