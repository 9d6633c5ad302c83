"""No more calls at once, and in a time, than a dependency allows; counted over all workers, by real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.core.clock import now
from tests.dependencies.test_guard import in_threads
from tests.engine import drive, flows
from tests.engine.flows import FAST, OBJECTIVE, Note, Order, act
from workflows import Dependency, Effect, Rate, StepContext, Workflow
from workflows.dependencies import guard
from workflows.dependencies.guard import Guard, Permit
from workflows.dependencies.services import ensure_dependency
from workflows.errors import AtCapacity
from workflows.models import Attempt, CallRate, CallSlot, CallWindow, RunEvent
from workflows.models import Dependency as Row

pytestmark = pytest.mark.django_db(transaction=True)

NARROW = Dependency("narrow", timeout=5, max_concurrency=3)
SLOW = Dependency("slow", timeout=5, rate=Rate(calls=10, per_seconds=100, burst=4))
narrow_flow = Workflow("test-narrow", version=1, owner="a-team", input=Order, objective=OBJECTIVE, runbook="test")


@narrow_flow.step(effect=Effect.EXTERNAL, calls=NARROW, retry=FAST)
def squeeze(order: Order, ctx: StepContext) -> Note:
    """Call a service that takes three at once."""
    return act("squeeze", ctx, Note(text="through"))


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    for declared in (NARROW, SLOW):
        ensure_dependency(declared)
    flows.behaviour.clear()
    guard.reset()
    yield
    guard.reset()


def take(name: str) -> object:
    try:
        return Guard().permit(name, "worker-1")
    except AtCapacity as exc:
        return exc


def permits(outcomes: list[object]) -> list[Permit]:
    return [outcome for outcome in outcomes if isinstance(outcome, Permit)]


def test_fifty_callers_at_once_get_three_slots() -> None:
    given = permits(in_threads(50, lambda: take("narrow")))
    assert len(given) == 3
    assert len({permit.slot for permit in given}) == 3
    refused = take("narrow")
    assert isinstance(refused, AtCapacity)
    assert 5 <= refused.seconds <= 15


def test_a_slot_that_is_given_back_goes_to_another() -> None:
    given = permits([take("narrow") for _ in range(3)])
    guard.give_back(given[0])
    assert isinstance(take("narrow"), Permit)
    assert isinstance(take("narrow"), AtCapacity)


def test_the_slot_of_a_dead_caller_comes_back_and_only_once() -> None:
    (late, *_) = permits([take("narrow") for _ in range(3)])
    CallSlot.objects.update(expires_at=now() - timedelta(seconds=1))
    assert len(permits(in_threads(20, lambda: take("narrow")))) == 3
    guard.give_back(late)  # it was not dead after all, but its slot is another's now
    assert isinstance(take("narrow"), AtCapacity)


def test_a_lowered_limit_counts_at_once() -> None:
    ensure_dependency(Dependency("narrow", max_concurrency=1))
    assert len(permits([take("narrow") for _ in range(3)])) == 1


def test_who_declares_no_limit_pays_nothing() -> None:
    ensure_dependency(Dependency("wide"))
    one = Guard()
    one.permit("wide", "worker-1")
    with CaptureQueriesContext(connection) as queries:
        for _ in range(50):
            guard.give_back(one.permit("wide", "worker-1"))
    assert len(queries) == 0


def test_a_burst_goes_out_and_then_no_more_than_the_rate() -> None:
    assert len(permits(in_threads(20, lambda: take("slow")))) == 4
    CallRate.objects.update(next_at=now() + timedelta(seconds=15))  # two and a half of four were worked off
    assert len(permits([take("slow") for _ in range(20)])) == 2
    refused = take("slow")
    assert isinstance(refused, AtCapacity)
    assert 0 < refused.seconds < 16
    assert str(refused) == "slow takes 10 calls in 100 s"


def test_a_rate_spreads_those_who_wait() -> None:
    for _ in range(4):
        take("slow")
    for number in range(50):
        run = drive.started(narrow_flow, number=f"{number}")
        type(run).objects.filter(pk=run.pk).update(status="waiting", waiting_reason="capacity", waiting_on="slow")
    pauses = [refused.seconds for refused in (take("slow") for _ in range(200)) if isinstance(refused, AtCapacity)]
    assert max(pauses) > 300
    assert sum(pause < 100 for pause in pauses) < 80


def test_a_run_that_finds_no_slot_waits_uses_up_no_try_and_is_woken() -> None:
    given = permits([take("narrow") for _ in range(3)])
    run = drive.advance_once(drive.started(narrow_flow))
    assert (run.status, run.waiting_reason, run.waiting_on) == ("waiting", "capacity", "narrow")
    assert run.wake_at is not None
    assert run.wake_at > now() + timedelta(seconds=4)
    drive.advance_once(drive.wake(run))
    assert RunEvent.objects.filter(run=run, kind="step.at_capacity").count() == 1, "said once, however often it looks"
    guard.give_back(given[0])
    run.refresh_from_db()
    assert run.wake_at <= now(), "whoever ends a call wakes the next"
    assert drive.drive(drive.wake(run)).status == "succeeded"
    assert not Attempt.objects.filter(run=run).exists()
    guard.flush()
    assert [window.failures for window in CallWindow.objects.all()] == [0], "the breaker heard of the one good call"
    assert CallSlot.objects.filter(expires_at__gt=now()).count() == 2


def test_a_probe_that_finds_no_slot_is_given_back() -> None:
    for _ in range(3):
        take("narrow")
    Row.objects.filter(name="narrow").update(state="half_open", state_since=now())
    outcomes = [take("narrow") for _ in range(10)]
    assert all(isinstance(outcome, AtCapacity) for outcome in outcomes), "none is refused because probes are out"


@pytest.mark.parametrize(
    "declare", [lambda: Rate(calls=0), lambda: Rate(1, per_seconds=0), lambda: Dependency("x", max_concurrency=0)]
)
def test_a_limit_that_lets_nothing_out_is_told(declare: object) -> None:
    with pytest.raises(ValueError, match=r"needs|must"):
        declare()  # type: ignore[operator]
