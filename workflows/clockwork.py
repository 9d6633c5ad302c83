"""What a dispatcher does by the clock besides waking runs: schedules, and questions that nobody has answered."""

from __future__ import annotations

import time

from workflows.schedules.starting import forget_old_times, start_due, start_queued
from workflows.services import note_overdue_approvals

SCHEDULES_SECONDS = 1.0
REMIND_SECONDS = 10.0
FORGET_SECONDS = 3600.0


class Clockwork:
    """Does each thing when its time has come. Any number of them may run: rows are locked, or skipped."""

    def __init__(self) -> None:
        self._done_at = {"schedules": float("-inf"), "reminders": float("-inf"), "forgetting": float("-inf")}

    def tick(self) -> None:
        """Do what is due."""
        if self._is_time("schedules", SCHEDULES_SECONDS):
            start_due()
            start_queued()
        if self._is_time("reminders", REMIND_SECONDS):
            note_overdue_approvals()
        if self._is_time("forgetting", FORGET_SECONDS):
            forget_old_times()

    def _is_time(self, name: str, every: float) -> bool:
        if time.monotonic() - self._done_at[name] < every:
            return False
        self._done_at[name] = time.monotonic()
        return True
