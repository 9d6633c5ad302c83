"""How fast interrupted runs go on: 100 runs in the middle of a step, SIGKILL to every worker, a new pool.

``python benchmarks/recovery.py [--runs 100] [--workers 10]`` prints JSON. A supervisor would start the new pool at
once; so does this. Two measurements: the new pool is on the same host (the dispatcher sees that the old processes are
dead), and the old one was on another host (nobody can see that, so the lease must run out).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import machine as meters
from benchmarks.engine import DISPATCHER, engine_starter, listening, told, worker_command
from benchmarks.machine import Machine, machine
from benchmarks.signals import Listener


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--workers", type=int, default=10, help="worker processes; each holds one run")
    options = parser.parse_args()
    with machine() as found:
        report: dict[str, Any] = {"machine": meters.about(found), "options": vars(options)}
        found.manage("migrate", "--verbosity", "0")
        found.manage("register_workflows")
        start = engine_starter(found)
        for case, elsewhere in (("same_host", False), ("lost_host", True)):
            with listening(found, case) as listener, found.running(DISPATCHER):
                for number in range(options.runs):
                    start("slow-steps", number)
                report[case] = _interrupt(found, options, listener, elsewhere=elsewhere)
    print(json.dumps(report, indent=2))


def _interrupt(found: Machine, options: argparse.Namespace, listener: Listener, *, elsewhere: bool) -> dict[str, Any]:
    pool = worker_command(options.workers)
    with found.running(pool, **told(listener)):
        listener.wait_for("slow", options.workers)
        held = _held(found)
        if elsewhere:
            _move_leases(found)
        killed_at = _kill_workers()
    with found.running(pool):
        again = _wait_until(found, lambda runs: all(_is_again(runs[run], fence) for run, fence in held.items()))
        done = _wait_until(found, lambda runs: all(ended for _, ended in runs.values()))
    return {
        "runs_interrupted_in_a_step": len(held),
        "all_claimed_again_after_seconds": round(again - killed_at, 2),
        "all_runs_done_after_seconds": round(done - killed_at, 2),
        "runs": options.runs,
    }


def _held(found: Machine) -> dict[str, int]:
    with psycopg.connect(found.database_url) as connection:
        return dict(
            connection.execute("SELECT id::text, fence FROM workflows_run WHERE lease_owner <> ''").fetchall()
        )


def _kill_workers() -> float:
    """End all worker processes, pool and parent, as a crash does; return when."""
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if "celery" in process.cmdline():
                process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    return time.perf_counter()


def _move_leases(found: Machine) -> None:
    """Make the leases look as if their holders had been on another host."""
    with psycopg.connect(found.database_url) as connection:
        connection.execute("UPDATE workflows_run SET lease_owner = 'lost-' || lease_owner WHERE lease_owner <> ''")


def _is_again(run: tuple[int, bool], fence: int) -> bool:
    """Tell whether the run was claimed again: its token grows when it is taken back, and at the claim."""
    now, ended = run
    return ended or now > fence + 1


def _wait_until(found: Machine, enough: Callable[[dict[str, tuple[int, bool]]], bool], seconds: float = 120) -> float:
    """Return when ``enough`` of all runs (fencing token, whether ended) is true."""
    query = "SELECT id::text, fence, ended_at IS NOT NULL FROM workflows_run"
    deadline = time.perf_counter() + seconds
    with psycopg.connect(found.database_url, autocommit=True) as connection:
        while time.perf_counter() < deadline:
            if enough({run: (fence, ended) for run, fence, ended in connection.execute(query).fetchall()}):
                return time.perf_counter()
            time.sleep(0.02)
    raise SystemExit(f"The runs were not back within {seconds:g} s.")


if __name__ == "__main__":
    main()
