"""Which steps a running run may be at."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.models import Run, StepRun

# A step without an effect is written down together with the next one that has one, so that for this long and
# longer the run's row may name a step that is done already.
SETTLED_AFTER = timedelta(seconds=1)
_AT_WORK = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING})


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


def is_at_items(run: Run, definition: Mapping[str, Any], steps: Mapping[str, StepRun]) -> bool:
    """Tell whether workers do items of the run. It looks after them every few seconds, which is no other state."""
    row = steps.get(run.current_step)
    if row is None or row.status != StepStatus.WAITING or run.status not in _AT_WORK:
        return False
    has_items = any(step["name"] == run.current_step and "each" in step for step in definition["steps"])
    return has_items and run.waiting_reason in {WaitingReason.NONE, WaitingReason.ITEMS}
