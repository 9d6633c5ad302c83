"""Five hundred runs wait on an open breaker: all finish after it closes, and never many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.engine import drive, flows
from tests.engine.flows import FAST, OBJECTIVE, Note, Order, act
from workflows import Dependency, Effect, StepContext, Workflow
from workflows.dependencies import guard
from workflows.dependencies.guard import WAKE_PER_SECOND, Guard
from workflows.dependencies.services import ensure_dependency
from workflows.engine import store
from workflows.engine.runner import advance
from workflows.models import Dependency as Row
from workflows.models import Run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

RUNS = 500
GATEWAY = Dependency("stampede", timeout=5)
crowd_flow = Workflow("test-crowd", version=1, owner="a-team", input=Order, objective=OBJECTIVE, runbook="test")


@crowd_flow.step(effect=Effect.EXTERNAL, calls=GATEWAY, retry=FAST)
def knock(order: Order, ctx: StepContext) -> Note:
    """Call the service."""
    return act("knock", ctx, Note(text="in"))


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    ensure_dependency(GATEWAY)
    flows.behaviour.clear()
    flows.calls.clear()
    guard.reset()
    yield
    guard.reset()


def peak(moments: list[datetime]) -> int:
    """Return the most moments that lie within any one second."""
    ordered = sorted(moments)
    return max(sum(start <= other < start + timedelta(seconds=1) for other in ordered) for start in ordered)


def test_all_go_on_after_it_closes_but_only_a_few_a_second() -> None:
    one = Guard()
    for _ in range(10):
        one.report(one.permit(GATEWAY.name, "worker-1"), ok=False, seconds=0.01)
    guard.reset()
    runs = [drive.started(crowd_flow, number=str(number)).pk for number in range(RUNS)]
    for pk in runs:
        advance(pk)
    waiting = Run.objects.filter(status="waiting", waiting_reason="dependency", waiting_on=GATEWAY.name)
    assert waiting.count() == RUNS
    assert flows.calls == [], "none got through"

    Row.objects.update(probe_at="2026-01-01T00:00:00Z")
    for _ in range(3):
        one.report(one.permit(GATEWAY.name, "worker-1"), ok=True, seconds=0.01)
    wake_at = [moment for moment in waiting.order_by("id").values_list("wake_at", flat=True) if moment]
    assert wake_at == sorted(wake_at), "the oldest first"
    assert len(wake_at) == RUNS
    busiest = peak(wake_at)
    length = (wake_at[-1] - wake_at[0]).total_seconds()
    print(f"{RUNS} runs go on within {length:.1f} s, at most {busiest} in a second")  # noqa: T201 - the measured peak
    assert busiest <= WAKE_PER_SECOND + 1

    guard.reset()
    waiting.update(wake_at="2026-01-01T00:00:00Z")
    while store.wake_due(100):
        pass
    for pk in runs:
        advance(pk)
    assert Run.objects.filter(status="succeeded").count() == RUNS
    assert len({key for _, key, _ in flows.calls}) == len(flows.calls) == RUNS, "each called once"
