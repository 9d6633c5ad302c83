"""Events through real processes: lost messages, killed consumers, poisoned payloads. Each event acts once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.checks import histories_are_whole
from tests.faults.fleet import Fleet, running_fleet
from workflows.engine.crash_points import POINTS

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
RUNS = 15


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


def payments_are_booked(fleet: Fleet, batch: str, runs: int = RUNS) -> bool:
    """Tell whether all runs of the batch have ended, and each payment's receipt has gone out."""
    receipts = fleet.ask(
        "SELECT count(*) FROM workflows_run r JOIN workflows_workflow w ON w.id = r.workflow_id"
        " WHERE w.slug = 'payment-receipt' AND r.status = 'succeeded' AND r.correlation_id IN"
        " (SELECT correlation_id FROM workflows_run WHERE idempotency_key LIKE %s)",
        f"{batch}:%",
    )
    return fleet.settled(batch, runs) and receipts == [(runs,)]


def books_agree(fleet: Fleet, batch: str, runs: int = RUNS) -> None:
    """Each payment is booked once, each booking told once, each event acted on once by each subscriber."""
    booked = fleet.ask(
        "SELECT count(*), sum(l.amount), (SELECT sum(o.amount) FROM workflows_outboxmessage o"
        " JOIN workflows_run r ON r.id = o.run_id WHERE o.name = 'invoice.paid' AND r.idempotency_key LIKE %s)"
        " FROM demo_ledgerentry l JOIN workflows_run r ON l.operation_key = r.id::text || ':book_payment:0'"
        " WHERE r.idempotency_key LIKE %s",
        f"{batch}:%",
        f"{batch}:%",
    )
    owed = sum(100 + number for number in range(runs))
    assert booked == [(runs, owed, owed)], "the ledger agrees with what the bank told, and with what was told of it"
    left = fleet.ask("SELECT consumer, status FROM workflows_inboxmessage WHERE status IN ('pending', 'dead')")
    assert left == []
    assert fleet.ask("SELECT id FROM workflows_outboxmessage WHERE routed_at IS NULL") == []
    assert fleet.ask("SELECT id FROM workflows_deadletter WHERE status = 'open'") == []


def all_went_well(fleet: Fleet, batch: str) -> None:
    fleet.wait_until(lambda: payments_are_booked(fleet, batch), seconds=90, what=f"all payments of {batch}")
    books_agree(fleet, batch)
    histories_are_whole(fleet)


@pytest.mark.parametrize("point", sorted(p for p in POINTS if p.startswith(("router.", "consumer."))))
def test_dying_with_an_event_in_hand_loses_nothing_and_repeats_nothing(fleet: Fleet, point: str) -> None:
    armed = fleet.arm(point)
    fleet.load_until_done(point, RUNS, seconds=60, verb="transfers")
    all_went_well(fleet, point)
    assert not armed.exists(), "somebody died there"


def test_dying_around_the_checkpoint_that_emits_loses_and_repeats_no_event(fleet: Fleet) -> None:
    points = ("worker.inside_transaction@book_payment", "worker.before_checkpoint", "worker.after_release")
    armed = [fleet.arm(point) for point in points]
    fleet.load_until_done("emitting", RUNS, seconds=60, verb="transfers")
    all_went_well(fleet, "emitting")
    assert not any(point.exists() for point in armed)


def test_events_whose_messages_the_broker_lost_are_healed_by_themselves(fleet: Fleet) -> None:
    load = fleet.load("lost", RUNS, verb="transfers")
    while load.poll() is None:
        fleet.empty_broker()
    fleet.empty_broker()
    assert load.returncode == 0
    all_went_well(fleet, "lost")


def test_a_poisoned_event_is_a_dead_letter_and_the_others_go_on(fleet: Fleet) -> None:
    fleet.ask(
        "INSERT INTO workflows_outboxmessage (id, name, version, key, payload, origin, step, emitted_by,"
        " correlation_id, customer_key, amount, currency, emitted_at, is_demo)"
        " VALUES (gen_random_uuid(), 'invoice.paid', 1, 'poison', '{\"amount\": \"much\"}', 'api', '', '',"
        " 'poison', '', 77, 'EUR', now(), false) RETURNING id"
    )
    letters = "SELECT reason, consumer FROM workflows_deadletter WHERE status = 'open'"
    fleet.wait_until(lambda: bool(fleet.ask(letters)), seconds=60, what="the dead letter")
    assert fleet.ask(letters) == [("contract", "payment-receipt")]
    fleet.ask("UPDATE workflows_deadletter SET status = 'discarded', discarded_at = now() RETURNING id")
    fleet.ask("UPDATE workflows_inboxmessage SET status = 'discarded' WHERE status = 'dead' RETURNING id")
    fleet.load_until_done("after-poison", RUNS, seconds=60, verb="transfers")
    fleet.wait_until(
        lambda: payments_are_booked(fleet, "after-poison"), seconds=90, what="the payments after the poison"
    )
