"""How fast interrupted runs go on: 100 runs in the middle of a step, ten at a time, and SIGKILL to what runs them.

``python benchmarks/recovery.py [--rounds 10] [--workers 10] [--only pool,worker,host]`` prints JSON. A pool process
holds one run, so each round interrupts as many runs as there are processes. Nothing else is queued: what is measured
is how long it takes until another process has the run and goes on with it, not how long a queue is. Three
cases:

- ``pool``: all pool processes die, Celery's main process lives on and forks new ones.
- ``worker``: the main process dies too, and a supervisor starts a new worker at once. With that worker's start.
- ``host``: the same, and nobody can see that the processes are dead, so their leases must run out.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import machine as meters
from benchmarks.engine import DISPATCHER, engine_starter, listening, told, worker_command
from benchmarks.machine import Machine, machine
from benchmarks.signals import Listener

CASES = ("pool", "worker", "host")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=10, help="worker processes; each holds one run")
    parser.add_argument("--only", default=",".join(CASES), help="cases, separated by commas")
    options = parser.parse_args()
    with machine() as found:
        report: dict[str, Any] = {"machine": meters.about(found), "options": vars(options)}
        found.manage("migrate", "--verbosity", "0")
        found.manage("register_workflows")
        start = engine_starter(found)
        for case in options.only.split(","):
            with listening(found, case) as listener, found.running(DISPATCHER, **told(listener)):
                report[case] = _measure(found, Case(found, case, options.workers, listener, start), options.rounds)
    print(json.dumps(report, indent=2))


class Case:
    """One way to die, with the worker that dies in it."""

    def __init__(
        self, found: Machine, name: str, workers: int, listener: Listener, start: Callable[[str, int], None]
    ) -> None:
        self.found, self.name, self.workers, self.listener, self.start = found, name, workers, listener, start
        self.stack = ExitStack()
        self.worker = self.start_worker()

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a Celery worker."""
        running = self.found.running(worker_command(self.workers), **told(self.listener))
        return self.stack.enter_context(running)[0]

    def interrupt(self) -> float:
        """Kill what the case says, and return when. A worker that died as a whole is replaced at once."""
        pool = psutil.Process(self.worker.pid).children(recursive=True)
        if self.name == "host":
            _move_leases(self.found)
        if self.name != "pool":
            self.worker.kill()
        for process in pool:
            process.send_signal(signal.SIGKILL)
        killed_at = time.perf_counter()
        if self.name != "pool":
            self.worker.wait()
            self.worker = self.start_worker()
        return killed_at


def _measure(found: Machine, case: Case, rounds: int) -> dict[str, Any]:
    waits: list[float] = []
    with case.stack:
        for number in range(rounds):
            for each in range(case.workers):
                case.start("slow-steps", number * case.workers + each)
            case.listener.wait_for("slow", case.workers)
            held = _held(found)
            killed_at = case.interrupt()
            waits += [at - killed_at for at in _taken_again(case, held)]
            _wait_until_done(case)
    return {"runs_interrupted_in_a_step": len(waits), "running_again_after": meters.latency(waits)}


def _held(found: Machine) -> dict[str, int]:
    """Return the fencing token of each run that a worker holds."""
    with psycopg.connect(found.database_url) as connection:
        return dict(
            connection.execute("SELECT id::text, fence FROM workflows_run WHERE lease_owner <> ''").fetchall()
        )


def _move_leases(found: Machine) -> None:
    """Make the leases look as if their holders had been on another host."""
    with psycopg.connect(found.database_url) as connection:
        connection.execute("UPDATE workflows_run SET lease_owner = 'lost-' || lease_owner WHERE lease_owner <> ''")


def _taken_again(case: Case, held: dict[str, int], seconds: float = 60) -> list[float]:
    """Return when each of these runs was claimed again: its token grows when it is taken back, and at the claim.

    Those that came to their end before they could be interrupted are left out.
    """
    query = "SELECT id::text, fence, ended_at IS NOT NULL FROM workflows_run WHERE id::text = ANY(%s)"
    again: list[float] = []
    deadline = time.perf_counter() + seconds
    with psycopg.connect(case.found.database_url, autocommit=True) as connection:
        while held:
            case.listener.forget()  # a step that tells waits until it is heard
            for run, fence, has_ended in connection.execute(query, [list(held)]).fetchall():
                if fence > held[run] + 1:
                    again.append(time.perf_counter())
                if fence > held[run] + 1 or has_ended:
                    del held[run]
            if time.perf_counter() > deadline:
                raise SystemExit(f"{len(held)} runs were not back within {seconds:g} s.")
            time.sleep(0.01)
    return again


def _wait_until_done(case: Case, seconds: float = 60) -> None:
    deadline = time.perf_counter() + seconds
    with psycopg.connect(case.found.database_url, autocommit=True) as connection:
        while connection.execute("SELECT 1 FROM workflows_run WHERE ended_at IS NULL LIMIT 1").fetchone():
            case.listener.forget()
            if time.perf_counter() > deadline:
                raise SystemExit(f"Not all runs were done within {seconds:g} s.")
            time.sleep(0.02)


if __name__ == "__main__":
    main()
