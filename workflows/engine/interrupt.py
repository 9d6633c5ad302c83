"""Interrupting a step for real: its time is up, or the run was taken over by another worker."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption(BaseException):
    """Ends a step from outside. A BaseException, so that an author's ``except Exception`` lets it through."""


class StepTimedOut(Interruption):
    """The step did not finish in its time."""


class LeaseTaken(Interruption):
    """Another worker holds the run now; whatever this one still does would be thrown away."""


# What counts as the failure of an author's function: anything it raises, and its interruption, but not the
# end of the process (SystemExit, KeyboardInterrupt). Catch LeaseTaken before it.
FAILURES = (Exception, Interruption)


class _Alarm:
    """What SIGALRM means at the moment it arrives; nothing, when no step is running."""

    def __init__(self) -> None:
        self.is_armed = False
        self.lease_taken = False
        self.seconds = 0.0

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if not self.is_armed:
            return
        self.is_armed = False
        if self.lease_taken:
            raise LeaseTaken("Another worker has taken this run over.")
        raise StepTimedOut(f"No answer within {self.seconds:g} s.")


_alarm = _Alarm()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``StepTimedOut`` in the block after ``seconds``, also inside a blocking system call.

    Uses SIGALRM, so it works in the main thread of a process only: workers run with Celery's prefork
    or solo pool. The handler stays installed: an alarm that comes a moment too late must not end the process.

    :raises RuntimeError: in any other thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("Steps run in a process's main thread only. Start the worker with -P prefork or -P solo.")
    if signal.getsignal(signal.SIGALRM) is not _alarm:
        signal.signal(signal.SIGALRM, _alarm)
    _alarm.lease_taken, _alarm.seconds, _alarm.is_armed = False, seconds, True
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        _alarm.is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def take_lease_away() -> None:
    """Interrupt the step that runs in this process's main thread; called by the heartbeat thread."""
    if _alarm.is_armed:
        _alarm.lease_taken = True
        os.kill(os.getpid(), signal.SIGALRM)
