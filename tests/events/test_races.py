"""A run that comes to wait, and its event, at the same moment on two connections."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from django.db import connection

from tests.engine.drive import wake
from tests.events import flows
from tests.events.drive import emitted, gone_as_far_as_it_can, let_pass, started
from workflows.engine.holder import identity
from workflows.engine.runner import advance
from workflows.events import inbox, store
from workflows.events.router import route_events
from workflows.models import EventWait, InboxMessage, Run

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 10
WAIT = "test-await-payment.payment"


def handle_at(barrier: Barrier, row: UUID, attempt: int) -> None:
    """Act on an event on a connection of this thread."""
    try:
        barrier.wait()
        inbox.handle(row, attempt)
    finally:
        connection.close()


def taken_event(number: str) -> tuple[UUID, int]:
    """Emit an event for this key, and take it as a worker does."""
    emitted(flows.pay_event(number))
    route_events()
    InboxMessage.objects.exclude(consumer=WAIT).delete()
    return store.take(1, by=identity(), lease=60)[0]


def at_once(run: Run, row: UUID, attempt: int) -> None:
    """Let the run go on and the event be handled at the same moment."""
    barrier = Barrier(2)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(handle_at, barrier, row, attempt)
        barrier.wait()
        advance(run.pk)
        other.result()


def test_of_an_event_and_a_run_that_come_at_the_same_moment_neither_misses_the_other() -> None:
    for number in range(ROUNDS):
        run = started(flows.await_payment, flows.Order(number=f"A-{number}"))
        at_once(run, *taken_event(f"A-{number}"))
        assert EventWait.objects.get(run=run).message_id, "it has its event"
        assert InboxMessage.objects.get(key=f"A-{number}").status == "handled"
        run.refresh_from_db()
        if run.status == "waiting":
            assert run.wake_at
            assert run.wake_at <= EventWait.objects.get(run=run).since + flows.OBJECTIVE.within, "and will be woken"
            wake(run)
        assert gone_as_far_as_it_can(run).status == "succeeded"


def test_of_an_event_and_the_end_of_the_wait_at_the_same_moment_one_comes_first() -> None:
    for number in range(ROUNDS):
        run = gone_as_far_as_it_can(started(flows.await_payment, flows.Order(number=f"B-{number}")))
        row, attempt = taken_event(f"B-{number}")
        let_pass("workflows_eventwait", "expires_at", 3600)
        at_once(wake(run), row, attempt)
        run.refresh_from_db()
        assert run.status == "succeeded"
        was_handled = InboxMessage.objects.get(pk=row).status == "handled"
        assert was_handled == bool(EventWait.objects.get(run=run).message_id), (
            "taken by the run, or left for a person"
        )
