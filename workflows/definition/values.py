"""The small values of a definition: effects, retries, breakers, objectives, settings."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from workflows.errors import ConfigurationError


class Effect(StrEnum):
    """What a step changes outside the run, and so what may be promised when a worker dies in it."""

    PURE = "pure"
    DATABASE = "database"
    EXTERNAL = "external"


class StepKind(StrEnum):
    """What happens at a step: an author's function works, or the run waits for something."""

    WORK = "work"
    SLEEP = "sleep"
    WAIT_FOR = "wait_for"
    APPROVAL = "approval"
    CHILD = "child"
    EACH = "each"


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how patiently a step is tried.

    The pause before try ``n + 1`` is random between 0 and ``min(cap, base * 2 ** (n - 1))`` seconds
    (exponential backoff with full jitter, AWS Architecture Blog 2015).
    """

    attempts: int = 5
    base: float = 1.0
    cap: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.base <= 0 or self.cap < self.base:
            raise ValueError("Retry needs attempts >= 1 and 0 < base <= cap (seconds)")


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a dependency's circuit breaker opens, and for how long. Times in seconds."""

    failure_rate: float = 0.5
    slow_rate: float = 1.0
    slow_after: float = 60.0
    minimum_calls: int = 10
    window: float = 60.0
    open_for: float = 30.0
    open_at_most: float = 600.0
    probes: int = 3

    def __post_init__(self) -> None:
        if not (0 < self.failure_rate <= 1 and 0 < self.slow_rate <= 1):
            raise ValueError("Breaker rates are shares between 0 and 1")
        if self.minimum_calls < 1 or self.probes < 1 or self.open_for <= 0 or self.window <= 0:
            raise ValueError("Breaker needs minimum_calls >= 1, probes >= 1, window > 0 and open_for > 0 seconds")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a workflow needs from its environment (``NAME``, or ``NAME_FILE`` for a file that holds it)."""

    name: str
    kind: Literal["text", "url", "int"] = "text"

    @property
    def is_secret(self) -> bool:
        """Whether the value must never be shown."""
        return False

    def value(self) -> str:
        """Return the value.

        :raises ConfigurationError: if it is missing or not of its kind; the message names the setting only.
        """
        value = os.environ.get(self.name, "")
        file = os.environ.get(f"{self.name}_FILE")
        if not value and file:
            try:
                value = Path(file).read_text().strip()
            except OSError as exc:
                raise ConfigurationError(
                    f"{self.name}_FILE cannot be read: {exc.strerror}", setting=self.name
                ) from exc
        problem = self._problem(value)
        if problem:
            raise ConfigurationError(f"{self.name} {problem}", setting=self.name)
        return value

    def _problem(self, value: str) -> str:
        if not value:
            return "is not set"
        if self.kind == "url" and not (urlsplit(value).scheme in {"http", "https"} and urlsplit(value).netloc):
            return "must be an http:// or https:// address"
        if self.kind == "int" and not value.lstrip("-").isdigit():
            return "must be a whole number"
        return ""


@dataclass(frozen=True, slots=True)
class Secret(Setting):
    """A setting whose value is never shown or logged."""

    @property
    def is_secret(self) -> bool:
        """Whether the value must never be shown."""
        return True


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a dependency may be called by all workers together.

    :param burst: calls that may come at once after a quiet time; without one a second's worth, at least 1.
    """

    calls: int
    per_seconds: float = 1.0
    burst: int = 0

    def __post_init__(self) -> None:
        if self.calls < 1 or self.per_seconds <= 0 or self.burst < 0:
            raise ValueError("Rate needs calls >= 1, per_seconds > 0 and burst >= 1")
        if not self.burst:
            object.__setattr__(self, "burst", max(1, int(self.calls / self.per_seconds)))


@dataclass(frozen=True, slots=True)
class Dependency:
    """A service that steps call, with what it promises and how it is protected.

    :param availability: promised share of good answers, 0 to 1.
    :param timeout: seconds after which a call is given up.
    :param max_concurrency: calls at once over all workers; None for no limit.
    :param rate: calls in a time over all workers; None for no limit. Who comes too early waits, and uses up no try.
    :param url: the setting that holds its address; ``ctx.http`` then takes paths instead of full addresses.
    """

    name: str
    availability: float = 0.999
    timeout: float = 10.0
    breaker: Breaker = field(default_factory=Breaker)
    max_concurrency: int | None = None
    rate: Rate | None = None
    url: Setting | None = None

    def __post_init__(self) -> None:
        if not 0 < self.availability <= 1:
            raise ValueError(f'Dependency "{self.name}": availability is a share between 0 and 1')
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise ValueError(f'Dependency "{self.name}": max_concurrency must be 1 or more, or None')


@dataclass(frozen=True, slots=True)
class Objective:
    """The promise to the business: this share of runs succeeds, each within this time."""

    success: float
    within: timedelta

    def __post_init__(self) -> None:
        if not 0 < self.success < 1:
            raise ValueError("Objective.success is a share between 0 and 1, such as 0.995; 1 leaves no error budget")
        if self.within <= timedelta(0):
            raise ValueError("Objective.within must be longer than nothing")


@dataclass(frozen=True, slots=True)
class Impact:
    """Which fields of the input say what a run is worth and for whom."""

    amount: str | None = None
    currency: str | None = None
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class Sensitive:
    """Marks a model's field (``card: Annotated[str, Sensitive()]``) whose value is hidden from most people."""


@dataclass(frozen=True, slots=True)
class Item:
    """Which fields of a fan-out's items name one and say what it is worth: "INV-2026-00412, 250.00 EUR"."""

    name: str | None = None
    amount: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Each:
    """A fan-out: over what, how many items at a time, and how many may fail.

    :param over: the step, or ``input.field``, that gives the list.
    :param tolerate: a whole number of items, or a share of them (a fraction between 0 and 1).
    """

    over: str
    concurrency: int
    tolerate: float
    item: Item

    def tolerated(self, total: int) -> int:
        """Return how many of ``total`` items may fail; a share is rounded down."""
        return self.tolerate if isinstance(self.tolerate, int) else math.floor(self.tolerate * total)
