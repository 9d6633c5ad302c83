"""What the torture and the engine's stateful test both hold the engine to."""

from __future__ import annotations

from workflows.engine.state import FINAL_RUN_STATUSES, StepStatus, step_may_become

# The last event that speaks of the run itself, for each status in which a run stands still.
LAST_WORDS = {
    **{status.value: {f"run.{status.value}"} for status in FINAL_RUN_STATUSES},
    "paused": {"run.paused", "run.rolled_back", "step.uncertain"},
}


def may_be_seen_as(old: StepStatus, new: StepStatus) -> bool:
    """Tell whether ``old`` may become ``new`` in one write; that it was pending in between is not always written."""
    if old is new or step_may_become(old, new):
        return True
    return step_may_become(old, StepStatus.PENDING) and step_may_become(StepStatus.PENDING, new)
