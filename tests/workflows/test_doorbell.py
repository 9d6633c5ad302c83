"""Workers are told that a queue holds runs, and take them from the database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import workflows
from portal.core.errors import LeaseLost
from tests.engine import flows
from tests.engine.drive import started
from workflows import StepContext, dispatch, drain
from workflows.dispatcher import Dispatcher
from workflows.engine import store
from workflows.engine.state import RunStatus
from workflows.engine.store import Release, Writes
from workflows.models import Run, Workflow

pytestmark = pytest.mark.django_db(transaction=True)

one_step_flow = workflows.Workflow(
    "test-one-step", version=1, owner="test-team", input=flows.Order, objective=flows.OBJECTIVE, runbook="test"
)


@one_step_flow.step(effect=workflows.Effect.DATABASE, retry=flows.FAST)
def post(order: flows.Order, ctx: StepContext) -> flows.Note:
    """Post it."""
    return flows.act("post", ctx, flows.Note(text="posted"))


@pytest.fixture
def queue() -> Iterator[str]:
    """A queue of this test alone; what the test's workflow starts goes there."""
    name, usual, client = f"doorbell-{uuid4().hex}", flows.order_flow.queue, dispatch.broker()
    flows.order_flow.queue = name
    flows.calls.clear()
    flows.behaviour.clear()
    yield name
    flows.order_flow.queue = usual
    client.delete(name)


def rings(queue: str) -> int:
    """Return how many messages wait for a worker."""
    return int(dispatch.broker().llen(queue))


def lose_everything(queue: str) -> None:
    """Empty the broker."""
    dispatch.answer(queue)
    dispatch.broker().delete(queue)


def statuses() -> set[str]:
    return set(Run.objects.values_list("status", flat=True))


def test_one_ring_serves_many_runs(queue: str) -> None:
    for _ in range(5):
        started(flows.order_flow)
    assert rings(queue) == 1
    drain.drain(queue)
    assert statuses() == {"succeeded"}


def test_the_bell_is_rung_after_the_commit_and_only_if_it_comes(queue: str) -> None:
    with transaction.atomic():
        started(flows.order_flow)
        assert rings(queue) == 0
        transaction.set_rollback(True)
    assert rings(queue) == 0
    with transaction.atomic():
        started(flows.order_flow)
    assert rings(queue) == 1


def test_who_queues_a_run_while_a_worker_drains_rings_again(queue: str) -> None:
    started(flows.order_flow)
    flows.behaviour["prepare"] = lambda ctx: started(flows.blind_flow) and flows.Note(text="another was started")
    flows.blind_flow.queue, usual = queue, flows.blind_flow.queue
    try:
        drain.drain(queue)
    finally:
        flows.blind_flow.queue = usual
        flows.behaviour.clear()
    assert rings(queue) == 2, "the first ring, and one for an idle worker while this one was in a step"
    assert "queued" not in statuses()


def test_a_worker_that_finds_more_calls_another(queue: str) -> None:
    for _ in range(2):
        started(flows.order_flow)
    lose_everything(queue)
    flows.behaviour["prepare"] = lambda ctx: flows.Note(text=f"{rings(queue)} rings")
    drain.drain(queue)
    flows.behaviour.clear()
    assert rings(queue) == 1
    assert statuses() == {"succeeded"}


def test_a_worker_is_free_again_after_a_while_and_somebody_goes_on(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        started(flows.order_flow)
    monkeypatch.setattr(drain, "DRAIN_SECONDS", 0.0)
    for left in (2, 1):
        lose_everything(queue)
        drain.drain(queue)
        assert Run.objects.filter(status="queued").count() == left
        assert rings(queue) == 1
    drain.drain(queue)
    drain.drain(queue)
    assert statuses() == {"succeeded"}


def test_a_lost_message_is_noticed_by_the_dispatcher(queue: str) -> None:
    run = started(flows.order_flow)
    lose_everything(queue)
    dispatcher = Dispatcher()
    dispatcher.round()
    assert rings(queue) == 0, "it may be on its way"
    _queued_since(run, seconds=3)
    dispatcher.round()
    dispatcher.round()
    assert rings(queue) == 1


def test_a_sign_that_was_left_behind_goes_away_by_itself(queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody died between setting the key and sending the message."""
    monkeypatch.setattr(dispatch, "RUNG_MS", 50)
    run = started(flows.order_flow)
    dispatch.broker().delete(queue)
    _queued_since(run, seconds=3)
    dispatcher = Dispatcher()
    for _ in range(200):
        dispatcher.round()
        if rings(queue):
            break
    assert rings(queue) == 1


def test_a_ring_too_many_does_nothing(queue: str) -> None:
    started(flows.order_flow)
    drain.drain(queue)
    calls = list(flows.calls)
    drain.drain(queue)
    assert flows.calls == calls


def test_a_broker_that_is_down_stops_nobody(queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Redis(unix_socket_path="/nowhere", retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(dispatch, "broker", lambda: nobody)
    monkeypatch.setattr(dispatch, "_broker_failed_at", float("-inf"))
    started(flows.order_flow)
    drain.drain(queue)
    assert statuses() == {"succeeded"}


def test_two_workers_never_take_the_same_run(queue: str) -> None:
    expected = {started(flows.order_flow).pk for _ in range(40)}
    at_once = Barrier(2)

    def take_all(owner: str) -> list[UUID]:
        at_once.wait()
        taken: list[UUID] = []
        while claimed := store.claim_next(queue, owner):
            taken.append(claimed.run_id)
        connection.close()
        return taken

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(take_all, ("one", "other"))
    assert len(one) + len(other) == 40
    assert {*one, *other} == expected


def test_the_oldest_run_goes_first_also_if_it_was_interrupted(queue: str) -> None:
    first, second = started(flows.order_flow), started(flows.order_flow)
    assert store.claim(first.pk, "a worker that dies") is not None
    Run.objects.filter(pk=first.pk).update(lease_expires_at=first.created_at)
    store.reclaim(10, [])
    taken = [store.claim_next(queue, "another") for _ in range(3)]
    assert [run and run.run_id for run in taken] == [first.pk, second.pk, None]


def test_a_worker_that_has_lost_its_run_takes_no_other_along(queue: str) -> None:
    first, second = started(flows.order_flow), started(flows.order_flow)
    held = store.claim(first.pk, "a zombie")
    assert held is not None
    Run.objects.filter(pk=first.pk).update(fence=99)
    with pytest.raises(LeaseLost):
        store.release_and_take(first.pk, held.fence, "a zombie", Writes(), Release(RunStatus.SUCCEEDED), queue=queue)
    second.refresh_from_db()
    assert (second.status, second.lease_owner) == ("queued", "")


def test_a_run_that_was_taken_along_in_a_transaction_that_failed_is_free_again(
    queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run's last step and the taking of the second share a transaction, which fails at the commit."""
    monkeypatch.setattr(one_step_flow, "queue", queue)
    first, second = started(one_step_flow), started(one_step_flow)

    def fail_at_the_commit(ctx: StepContext) -> flows.Note:
        if ctx.run_id == first.pk:  # foreign keys are checked when all is done
            Workflow.objects.filter(slug="test-one-step").update(team_id=10**9)
        return flows.Note(text="posted")

    monkeypatch.setitem(flows.behaviour, "post", fail_at_the_commit)
    drain.drain(queue)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.waiting_reason) == ("waiting", "retry")
    assert (second.status, second.fence, second.lost_count) == ("succeeded", 1, 0)


def test_a_run_that_waits_is_not_taken(queue: str) -> None:
    run = started(flows.order_flow)
    Run.objects.filter(pk=run.pk).update(status="rolling_back", wake_at=run.due_at)
    assert store.claim_next(queue, "somebody") is None


def _queued_since(run: Run, *, seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE workflows_run SET dispatched_at = clock_timestamp() - %s * interval '1 second' WHERE id = %s",
            [seconds, run.pk],
        )
