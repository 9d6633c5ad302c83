"""A step is interrupted for real: by its clock, or because its run was taken over."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from workflows.engine.interrupt import LeaseTaken, StepTimedOut, take_lease_away, time_limit


def test_a_blocking_call_ends_at_the_limit() -> None:
    reading, writing = os.pipe()
    began = time.monotonic()
    with pytest.raises(StepTimedOut, match=r"No answer within 0\.05 s"), time_limit(0.05):
        os.read(reading, 1)
    assert time.monotonic() - began < 5
    os.close(reading)
    os.close(writing)


def test_a_run_that_was_taken_over_is_dropped_in_the_middle_of_a_step() -> None:
    reading, writing = os.pipe()
    thief = threading.Timer(0.05, take_lease_away)
    thief.start()
    with pytest.raises(LeaseTaken), time_limit(30):
        os.read(reading, 1)
    thief.join()
    os.close(reading)
    os.close(writing)


def test_an_alarm_that_comes_too_late_does_nothing() -> None:
    with time_limit(30):
        pass
    os.kill(os.getpid(), signal.SIGALRM)
    take_lease_away()


def test_steps_run_in_the_main_thread_only() -> None:
    told: list[str] = []

    def run() -> None:
        try:
            with time_limit(1):
                pass
        except RuntimeError as exc:
            told.append(str(exc))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert told == ["Steps run in a process's main thread only. Start the worker with -P prefork or -P solo."]
