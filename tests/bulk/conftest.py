"""Each test has its own clock, which only it moves, and steps that do what they should."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from portal.core.clock import now
from tests.engine import flows


@pytest.fixture(autouse=True)
def _clean_slate() -> None:
    flows.behaviour.clear()
    flows.calls.clear()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The time, standing still until the test shifts it."""
    with time_machine.travel(now(), tick=False) as traveller:
        yield traveller
