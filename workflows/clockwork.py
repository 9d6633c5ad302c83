"""What a dispatcher does by the clock besides waking runs: calling to mind what nobody has answered."""

from __future__ import annotations

import time

from workflows.services import note_overdue_approvals

REMIND_SECONDS = 10.0


class Clockwork:
    """Does each thing when its time has come. Any number of them may run: rows are locked, or skipped."""

    def __init__(self) -> None:
        self._reminded_at = float("-inf")

    def tick(self) -> None:
        """Do what is due."""
        if time.monotonic() - self._reminded_at >= REMIND_SECONDS:
            note_overdue_approvals()
            self._reminded_at = time.monotonic()
