"""The guard before real PostgreSQL, with real threads. Each ``Guard`` stands for one worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F, Sum
from django.test.utils import CaptureQueriesContext

from portal.core import events
from portal.core.clock import now
from tests.factories import make_run, make_workflow
from workflows.definition.values import Breaker as DeclaredBreaker
from workflows.definition.values import Dependency as Declared
from workflows.dependencies import store
from workflows.dependencies.guard import Guard, Permit
from workflows.dependencies.services import ensure_dependency
from workflows.engine.state import RunStatus
from workflows.errors import DependencyUnavailable
from workflows.models import BreakerEvent, BreakerProbe, CallWindow, Dependency, Run

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "payments-gateway"
State = Dependency.State


@pytest.fixture(autouse=True)
def dependency() -> Dependency:
    return ensure_dependency(Declared(NAME, breaker=DeclaredBreaker(minimum_calls=10, open_for=30)))


@pytest.fixture
def news() -> Iterator[list[events.Event]]:
    heard: list[events.Event] = []
    kept = dict(events._handlers)
    events.bind({events.BreakerOpened: [heard.append], events.BreakerClosed: [heard.append]})
    yield heard
    events.bind(kept)


def call(guard: Guard, *, ok: bool = True, seconds: float = 0.01) -> Permit:
    permit = guard.permit(NAME, "worker-1")
    guard.report(permit, ok=ok, seconds=seconds)
    return permit


def refused(guard: Guard) -> DependencyUnavailable:
    with pytest.raises(DependencyUnavailable) as caught:
        guard.permit(NAME, "worker-1")
    return caught.value


def open_the_breaker() -> None:
    guard = Guard()
    for _ in range(10):
        call(guard, ok=False)
    assert state() == State.OPEN


def let_the_open_time_pass() -> None:
    Dependency.objects.update(probe_at=now() - timedelta(seconds=1))


def state() -> str:
    return Dependency.objects.get(name=NAME).state


def in_threads(count: int, work: Callable[[], object]) -> list[object]:
    """Run ``work`` in so many threads that start it at the same moment; return what each returned or raised."""
    barrier = Barrier(count)

    def one() -> object:
        barrier.wait()
        try:
            return work()
        except DependencyUnavailable as exc:
            return exc
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(one) for _ in range(count)]]


def test_good_calls_cost_no_statement() -> None:
    guard = Guard()
    call(guard)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(200):
            call(guard)
    assert len(queries) == 0


def test_good_calls_are_written_in_one_go() -> None:
    guard = Guard()
    for _ in range(200):
        call(guard)
    guard.flush()
    assert CallWindow.objects.aggregate(Sum("calls"), Sum("failures")) == {"calls__sum": 200, "failures__sum": 0}


def test_failures_of_all_workers_count_together(news: list[events.Event]) -> None:
    guards = [Guard() for _ in range(5)]
    for guard in guards:
        call(guard, ok=False)
        assert state() == State.CLOSED
        call(guard, ok=False)
    assert state() == State.OPEN
    reason = "10 of the latest 10 calls failed; the limit is 50%"
    assert news == [events.BreakerOpened(dependency=NAME, reason=reason)]


def test_half_of_the_calls_must_fail() -> None:
    guard = Guard()
    for _ in range(20):
        call(guard)
        call(guard)
        call(guard, ok=False)
    assert state() == State.CLOSED


def test_slow_calls_open_it_too() -> None:
    guard = Guard()
    for _ in range(10):
        call(guard, seconds=61)
    assert state() == State.OPEN


def test_calls_of_more_than_a_minute_ago_do_not_count() -> None:
    guard = Guard()
    for _ in range(9):
        call(guard, ok=False)
    CallWindow.objects.update(slot_at=F("slot_at") - timedelta(seconds=65))
    call(guard, ok=False)
    assert state() == State.CLOSED


def test_an_open_breaker_refuses_and_says_until_when() -> None:
    open_the_breaker()
    error = refused(Guard())
    assert error.dependency == NAME
    assert "10 of the latest 10 calls failed" in str(error)
    assert error.retry_at is not None
    assert timedelta(seconds=20) < error.retry_at - now() < timedelta(seconds=50)


def test_fifty_failing_callers_open_it_exactly_once(news: list[events.Event]) -> None:
    guard = Guard()
    permits = [guard.permit(NAME, "worker-1") for _ in range(50)]
    in_threads(50, lambda: Guard().report(permits[0], ok=False, seconds=0.01))
    assert BreakerEvent.objects.filter(new=State.OPEN).count() == 1
    assert len(news) == 1
    assert CallWindow.objects.aggregate(Sum("failures")) == {"failures__sum": 50}


def test_fifty_callers_get_three_probes() -> None:
    open_the_breaker()
    let_the_open_time_pass()
    outcomes = in_threads(50, lambda: Guard().permit(NAME, "worker-1"))
    assert sum(isinstance(o, Permit) and o.probe is not None for o in outcomes) == 3
    assert sum(isinstance(o, DependencyUnavailable) for o in outcomes) == 47
    assert BreakerEvent.objects.filter(new=State.HALF_OPEN).count() == 1


def test_three_good_probes_close_it(news: list[events.Event]) -> None:
    open_the_breaker()
    let_the_open_time_pass()
    permits = [Guard().permit(NAME, "worker-1") for _ in range(3)]
    for permit in permits:
        assert state() == State.HALF_OPEN
        Guard().report(permit, ok=True, seconds=0.01)
    assert state() == State.CLOSED
    assert isinstance(news[-1], events.BreakerClosed)
    assert not BreakerProbe.objects.exists()


def test_good_probes_one_after_the_other_close_it() -> None:
    open_the_breaker()
    let_the_open_time_pass()
    guard = Guard()
    for _ in range(3):
        call(guard)
    assert state() == State.CLOSED


def test_a_bad_probe_opens_it_for_twice_as_long() -> None:
    open_the_breaker()
    let_the_open_time_pass()
    good, bad = [Guard().permit(NAME, "worker-1") for _ in range(2)]
    Guard().report(good, ok=True, seconds=0.01)
    Guard().report(bad, ok=False, seconds=0.01)
    row = Dependency.objects.get()
    assert (row.state, row.opened_times) == (State.OPEN, 2)
    assert row.probe_at is not None
    assert timedelta(seconds=50) < row.probe_at - now() < timedelta(seconds=70)
    assert "10 of the latest 10 calls failed" in row.reason


def test_a_slow_probe_is_a_bad_probe() -> None:
    open_the_breaker()
    let_the_open_time_pass()
    call(Guard(), seconds=61)
    assert state() == State.OPEN


def test_a_probe_of_an_earlier_phase_decides_nothing() -> None:
    open_the_breaker()
    let_the_open_time_pass()
    late, bad = [Guard().permit(NAME, "worker-1") for _ in range(2)]
    Guard().report(bad, ok=False, seconds=0.01)
    let_the_open_time_pass()
    Guard().permit(NAME, "worker-1")
    Guard().report(late, ok=False, seconds=0.01)
    assert state() == State.HALF_OPEN


def test_the_permit_of_a_dead_prober_comes_back() -> None:
    open_the_breaker()
    let_the_open_time_pass()
    for _ in range(3):
        Guard().permit(NAME, "dies")
    assert refused(Guard()).retry_at is not None
    BreakerProbe.objects.update(expires_at=now() - timedelta(seconds=1))
    outcomes = in_threads(20, lambda: Guard().permit(NAME, "worker-2"))
    assert sum(isinstance(o, Permit) for o in outcomes) == 3


def test_after_closing_it_starts_with_a_clean_slate() -> None:
    open_the_breaker()
    let_the_open_time_pass()
    guard = Guard()
    for _ in range(3):
        call(guard)
    for _ in range(9):
        call(guard, ok=False)
    assert state() == State.CLOSED
    call(guard, ok=False)
    assert state() == State.OPEN


def test_waiting_runs_go_on_a_few_a_second_when_it_closes() -> None:
    workflow = make_workflow()
    later = now() + timedelta(hours=1)
    waiting = [make_run(workflow, status=RunStatus.WAITING, wake_at=later) for _ in range(60)]
    waiting.append(make_run(workflow, status=RunStatus.ROLLING_BACK, waiting_on=NAME, wake_at=later, lease_owner=""))
    other = make_run(workflow, status=RunStatus.WAITING, waiting_on="banking", wake_at=later)
    open_the_breaker()
    let_the_open_time_pass()
    for _ in range(3):
        call(Guard())
    woken = list(Run.objects.filter(waiting_on=NAME).order_by("wake_at"))
    times = [run.wake_at for run in woken if run.wake_at]
    assert [run.id for run in woken] == [run.id for run in waiting]
    assert timedelta(seconds=2.9) < times[-1] - times[0] < timedelta(seconds=3.2)
    assert times[0] <= now()
    other.refresh_from_db()
    assert other.wake_at == later


def test_a_rollback_of_the_caller_loses_no_failure() -> None:
    guard = Guard()
    permit = guard.permit(NAME, "worker-1")
    with transaction.atomic():
        guard.report(permit, ok=False, seconds=0.01)
        transaction.set_rollback(True)
    assert CallWindow.objects.get().failures == 1


def test_a_report_that_cannot_be_written_does_not_fail_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guard()
    permit = guard.permit(NAME, "worker-1")

    def gone(*args: object) -> None:
        raise OperationalError("the database is gone")

    monkeypatch.setattr(store, "record_calls", gone)
    guard.report(permit, ok=False, seconds=0.01)


def test_what_is_not_registered_is_not_guarded() -> None:
    guard = Guard()
    guard.report(guard.permit("unknown", "worker-1"), ok=False, seconds=0.01)
    assert CallWindow.objects.count() == 0


@pytest.mark.parametrize(
    ("forced", "then"), [(State.FORCED_OPEN, State.HALF_OPEN), (State.FORCED_CLOSED, State.CLOSED)]
)
def test_a_forced_state_ends_by_itself(forced: str, then: str) -> None:
    Dependency.objects.update(state=forced, forced_until=now() + timedelta(minutes=5), reason="maintenance")
    if forced == State.FORCED_OPEN:
        refused(Guard())
    else:
        for _ in range(20):
            call(Guard(), ok=False)
    assert state() == forced
    Dependency.objects.update(forced_until=now() - timedelta(seconds=1))
    Guard().permit(NAME, "worker-1")
    assert state() == then
