from __future__ import annotations

import pytest

from tests.engine import flows


@pytest.fixture(autouse=True)
def _clean_slate() -> None:
    flows.behaviour.clear()
    flows.calls.clear()
