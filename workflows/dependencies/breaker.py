"""What a circuit breaker decides. Pure: no clock, no database, no Django.

closed: calls go out; too many failures or slow calls within its window open it. open: no call goes out until
``probe_at``. half-open: a few probes are out at any moment; when as many were good it closes, a bad one opens it for
twice as long.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import Any

SLOT_SECONDS = 5
# A forced state may be lifted long before its end, so who waits for it looks again from time to time.
MAX_FORCED_WAIT = timedelta(minutes=5)
# A probe that is not reported this long after its time limit is given to someone else.
PROBE_GRACE_SECONDS = 5.0


class State(StrEnum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"


FORCED_STATES = frozenset({State.FORCED_OPEN, State.FORCED_CLOSED})
CALLING_STATES = frozenset({State.CLOSED, State.FORCED_CLOSED})


@dataclass(frozen=True, slots=True)
class Policy:
    """What a dependency is declared with: when its breaker opens and for how long, and how much it may be called."""

    availability: float = 0.999
    timeout_seconds: float = 10.0
    failure_rate: float = 0.5
    slow_rate: float = 1.0
    slow_after_seconds: float = 60.0
    minimum_calls: int = 10
    window_seconds: float = 60.0
    open_seconds: float = 30.0
    open_at_most_seconds: float = 600.0
    probes: int = 3
    max_concurrency: int | None = None
    rate_calls: int | None = None
    rate_per_seconds: float = 1.0
    rate_burst: int = 1

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Policy:
        """Return the policy in a dependency's ``settings``; what is missing there has its default."""
        return cls(**{name: settings[name] for name in cls.__slots__ if name in settings})

    @property
    def is_limited(self) -> bool:
        """Whether its calls are counted before they go out."""
        return self.max_concurrency is not None or self.rate_calls is not None

    @property
    def probe_lease_seconds(self) -> float:
        """How long a probe may be out before another may take its place."""
        return self.timeout_seconds + PROBE_GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class Window:
    """The latest calls, of all workers."""

    calls: int = 0
    failures: int = 0
    slow: int = 0

    def __add__(self, other: Window) -> Window:
        """Both together."""
        return Window(self.calls + other.calls, self.failures + other.failures, self.slow + other.slow)

    @property
    def failure_rate(self) -> float:
        """The share of calls that failed, 0 to 1."""
        return self.failures / self.calls if self.calls else 0.0

    @property
    def slow_rate(self) -> float:
        """The share of calls that were slow, 0 to 1."""
        return self.slow / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """A breaker as the database has it at ``read_at`` (the database's clock)."""

    id: int
    name: str
    state: State
    state_since: datetime
    probe_at: datetime | None
    opened_times: int
    forced_until: datetime | None
    reason: str
    policy: Policy
    read_at: datetime


class Verdict(Enum):
    """What becomes of a call."""

    CALL = "call"
    WAIT = "wait"
    PROBE = "probe"
    END_FORCE = "end force"


def verdict(breaker: Breaker, at: datetime) -> Verdict:
    """Return what becomes of a call at ``at``."""
    if breaker.state in FORCED_STATES and (breaker.forced_until is None or breaker.forced_until <= at):
        return Verdict.END_FORCE
    if breaker.state in CALLING_STATES:
        return Verdict.CALL
    if breaker.state is State.HALF_OPEN or (breaker.state is State.OPEN and is_probe_due(breaker, at)):
        return Verdict.PROBE
    return Verdict.WAIT


def is_probe_due(breaker: Breaker, at: datetime) -> bool:
    """Tell whether an open breaker has waited long enough."""
    return breaker.probe_at is None or breaker.probe_at <= at


def reason_to_open(window: Window, policy: Policy) -> str:
    """Return why the latest calls should open the breaker, or "" if they should not."""
    if window.calls < policy.minimum_calls:
        return ""
    if window.failure_rate >= policy.failure_rate:
        return _share(window.failures, window.calls, "failed", policy.failure_rate)
    if window.slow and window.slow_rate >= policy.slow_rate:
        return _share(window.slow, window.calls, "were slow", policy.slow_rate)
    return ""


def _share(part: int, whole: int, what: str, limit: float) -> str:
    return f"{part} of the latest {whole} calls {what}; the limit is {limit:.0%}"


def open_seconds(policy: Policy, opened_times: int) -> float:
    """Return how long the ``opened_times``-th opening in a row lasts: doubling up to a limit, ±10 %.

    The jitter keeps breakers that opened together from probing together.
    """
    doubled = policy.open_seconds * 2.0 ** min(opened_times - 1, 30)
    return min(policy.open_at_most_seconds, doubled) * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, keeps no secret


def retry_at(breaker: Breaker, *, lease_ends_at: datetime | None = None) -> datetime:
    """Return when a run that was not let through should look again, spread so that many do not come at once.

    While half-open that is after the leases that are out, when the probes have decided; closing wakes them earlier.
    """
    if breaker.state is State.FORCED_OPEN:
        earliest = min(breaker.forced_until or breaker.read_at, breaker.read_at + MAX_FORCED_WAIT)
    else:
        earliest = lease_ends_at or breaker.probe_at or breaker.read_at
    spread = min(30.0, max(1.0, breaker.policy.open_seconds / 3))
    return max(earliest, breaker.read_at) + timedelta(seconds=random.uniform(0, spread))  # noqa: S311
