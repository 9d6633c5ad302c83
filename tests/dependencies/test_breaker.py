"""What a breaker decides, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.dependencies.breaker import (
    MAX_FORCED_WAIT,
    Breaker,
    Policy,
    State,
    Verdict,
    Window,
    open_seconds,
    reason_to_open,
    retry_at,
    verdict,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BREAKER = Breaker(
    id=1,
    name="payments-gateway",
    state=State.CLOSED,
    state_since=NOON,
    probe_at=None,
    opened_times=0,
    forced_until=None,
    reason="",
    policy=Policy(),
    read_at=NOON,
)


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        (Window(calls=9, failures=9), ""),
        (Window(calls=10, failures=4), ""),
        (Window(calls=10, failures=5), "5 of the latest 10 calls failed; the limit is 50%"),
        (Window(calls=10, slow=9), ""),
        (Window(calls=10, slow=10), "10 of the latest 10 calls were slow; the limit is 100%"),
    ],
)
def test_opens_at_the_limit_and_not_on_few_calls(window: Window, reason: str) -> None:
    assert reason_to_open(window, Policy()) == reason


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        (State.CLOSED, {}, Verdict.CALL),
        (State.OPEN, {"probe_at": NOON + timedelta(seconds=1)}, Verdict.WAIT),
        (State.OPEN, {"probe_at": NOON}, Verdict.PROBE),
        (State.HALF_OPEN, {}, Verdict.PROBE),
        (State.FORCED_OPEN, {"forced_until": NOON + timedelta(seconds=1)}, Verdict.WAIT),
        (State.FORCED_CLOSED, {"forced_until": NOON + timedelta(seconds=1)}, Verdict.CALL),
        (State.FORCED_OPEN, {"forced_until": NOON}, Verdict.END_FORCE),
        (State.FORCED_CLOSED, {"forced_until": NOON}, Verdict.END_FORCE),
    ],
)
def test_each_state_has_its_verdict(state: State, fields: dict[str, datetime], expected: Verdict) -> None:
    assert verdict(replace(BREAKER, state=state, **fields), NOON) is expected  # type: ignore[arg-type]


@given(times=st.integers(1, 10_000))
def test_each_opening_is_longer_up_to_ten_minutes(times: int) -> None:
    seconds = open_seconds(Policy(open_seconds=30), times)
    middle = min(600.0, 30 * 2.0 ** (times - 1) if times < 20 else 600.0)
    assert 0.9 * middle <= seconds <= 1.1 * middle


def test_waiting_runs_come_back_spread_after_the_probe() -> None:
    breaker = replace(BREAKER, state=State.OPEN, probe_at=NOON + timedelta(seconds=20))
    times = [retry_at(breaker) for _ in range(100)]
    assert min(times) >= NOON + timedelta(seconds=20)
    assert max(times) - min(times) > timedelta(seconds=5)
    assert max(times) <= NOON + timedelta(seconds=30)


def test_waiting_for_a_long_forced_state_looks_again_from_time_to_time() -> None:
    breaker = replace(BREAKER, state=State.FORCED_OPEN, forced_until=NOON + timedelta(days=2))
    assert retry_at(breaker) <= NOON + MAX_FORCED_WAIT + timedelta(seconds=30)
