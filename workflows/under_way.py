"""Which steps a running run may be at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from workflows.engine.state import RunStatus
from workflows.models import Run

# A step without an effect is written down together with the next one that has one, so that for this long and
# longer the run's row may name a step that is done already.
SETTLED_AFTER = timedelta(seconds=1)


def steps_under_way(run: Run, definition: Mapping[str, Any], now: datetime) -> list[str]:
    """Return the steps that the worker may be at: one, or a few if only their results will tell them apart."""
    if run.status != RunStatus.RUNNING:
        return []
    names: list[str] = []
    is_quick = run.current_step_at is None or now - run.current_step_at < SETTLED_AFTER
    for step in definition["steps"]:
        if names or step["name"] == run.current_step:
            names.append(step["name"])
            if is_quick or step["effect"] != "pure":
                break
    return names
