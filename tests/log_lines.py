"""What this process logs, as JSON, for the tests of what log lines carry."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import cast

import pytest
from django.conf import settings

from portal.core.logging import logging_configuration


class Lines(StringIO):
    """What this process logs, as JSON."""

    def read_all(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    kept = root.handlers[:]
    logging_configuration(level="INFO", json=True)
    lines = Lines()
    (handler,) = root.handlers
    cast(logging.StreamHandler[Lines], handler).setStream(lines)
    yield lines
    logging_configuration(level=settings.ENV.LOG_LEVEL, json=False)
    root.handlers[:] = kept
