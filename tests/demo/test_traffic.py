"""The live traffic: gentle, bounded, and not put off by a database that is away for a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
import time_machine
from django.db import OperationalError, connection

from portal.core.clock import now
from portal.demo.history.rhythm import intensity
from portal.demo.models import PastRecord
from portal.demo.sandbox.client import RunningSandbox
from portal.demo.services import traffic
from portal.demo.services.history import write_history
from portal.demo.services.traffic import PLENTY_SECONDS, Traffic
from workflows.models import Run, StepRun
from workflows.services import register_workflows

pytestmark = pytest.mark.django_db
BUSY = datetime(2026, 11, 18, 10, tzinfo=UTC)
NIGHT = datetime(2026, 11, 18, 2, tzinfo=UTC)


class Enough(Exception):
    """Ends a traffic that would go on for ever."""


@pytest.fixture(autouse=True)
def _registered(sandbox: RunningSandbox) -> None:
    register_workflows()


def some_traffic(seed: int = 3) -> Traffic:
    return Traffic(rng=Random(seed))  # noqa: S311


def test_a_turn_starts_a_real_run_with_a_key() -> None:
    some_traffic().turn()
    run = Run.objects.get()
    assert (run.started_by, run.is_demo) == ("Demo traffic", False)
    assert run.idempotency_key


def test_nights_are_quieter_than_office_hours() -> None:
    assert intensity(NIGHT) < 0.2 < 2 < intensity(BUSY)
    pauses = {BUSY: 0.0, NIGHT: 0.0}
    for moment in pauses:
        with time_machine.travel(moment, tick=False) as clock:
            source = some_traffic()
            for _ in range(30):
                pauses[moment] += source.turn()
                clock.shift(1)
    assert pauses[BUSY] * 3 < pauses[NIGHT]


@pytest.mark.parametrize(
    ("minutes", "reached", "status"),
    [(29, "charge", "failed"), (31, "charge", "rolling_back"), (31, "", "cancelled")],
)
def test_a_failed_run_that_nobody_looks_after_is_cleared_away(minutes: int, reached: str, status: str) -> None:
    source = some_traffic()
    source.turn()
    run = Run.objects.get(workflow__slug="settle-invoice")
    if reached:
        StepRun.objects.create(run=run, step=reached, position=1, status="failed", attempts=1)
    Run.objects.filter(pk=run.pk).update(status="failed", ended_at=now() - timedelta(minutes=minutes))
    source.turn()
    run.refresh_from_db()
    assert run.status == status


def test_a_full_database_is_fed_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "PLENTY", 1)
    assert some_traffic().turn() == PLENTY_SECONDS


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[OperationalError | float] = [1.5, OperationalError("the database is shutting down")]
    slept: list[float] = []

    def turn() -> float:
        outcome = outcomes.pop()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise Enough

    source = Traffic(sleep=sleep)
    monkeypatch.setattr(source, "turn", turn)
    monkeypatch.setattr(connection, "close", lambda: None)
    with pytest.raises(Enough):
        source.run()
    assert slept == [traffic.RETRY_SECONDS, 1.5]


def test_the_sandbox_is_told_the_past_at_the_first_turn() -> None:
    write_history(days=1)
    assert PastRecord.objects.exists()
    some_traffic().turn()
    assert not PastRecord.objects.exists()
