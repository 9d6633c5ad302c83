"""Each test of events starts with a clean slate of behaviours, and with nothing for the broker to say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.events import flows
from workflows import dispatch


@pytest.fixture(autouse=True)
def _clean_slate() -> Iterator[None]:
    flows.behaviour.clear()
    yield
    dispatch.answer(dispatch.EVENTS)
    dispatch.broker().delete(dispatch.EVENTS)
