"""What the items of a fan-out cost: items per second, memory, and how soon they go on after all workers were killed.

``python benchmarks/fanout.py [--items 10000] [--workers 2] [--only pure,database,external]`` prints JSON. The bodies
do nothing: it is the engine that is measured. With half of the items done, SIGKILL ends every worker; a new pool is
started at once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import machine as meters
from benchmarks.engine import DISPATCHER, worker_command
from benchmarks.machine import Machine, machine

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 600
DONE = "SELECT count(*) FROM workflows_stepitem WHERE run_id = %s AND status = 'succeeded'"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--only", default="pure,database,external", help="effects, separated by commas")
    options = parser.parse_args()
    with machine() as found:
        report: dict[str, Any] = {"machine": meters.about(found), "options": vars(options)}
        found.manage("migrate", "--verbosity", "0")
        found.manage("register_workflows")
        for effect in options.only.split(","):
            report[effect] = {
                "undisturbed": _undisturbed(found, options, effect),
                "killed": _killed(found, options, effect),
            }
    print(json.dumps(report, indent=2))


def _undisturbed(found: Machine, options: argparse.Namespace, effect: str) -> dict[str, Any]:
    with found.running(worker_command(options.workers), DISPATCHER) as (worker, _):
        run = _start(found, effect, options.items)
        began = _wait_until(lambda: _done(found, run) > 0)
        at_first = _largest_process(worker)
        ended = _wait_until(lambda: _done(found, run) == options.items)
        return {
            "items_per_second": round(options.items / (ended - began)),
            "memory_mb_at_the_first_item": at_first,
            "memory_mb_at_the_last_item": _largest_process(worker),
        }


def _killed(found: Machine, options: argparse.Namespace, effect: str) -> dict[str, Any]:
    pool = worker_command(options.workers)
    with found.running(DISPATCHER):
        with found.running(pool):
            run = _start(found, effect, options.items)
            _wait_until(lambda: _done(found, run) >= options.items // 2)
            _kill_workers()
        left, killed_at = _done(found, run), time.perf_counter()
        with found.running(pool):
            again = _wait_until(lambda: _done(found, run) > left)
            ended = _wait_until(lambda: _done(found, run) == options.items)
    return {
        "done_when_killed": left,
        "first_item_after_seconds": round(again - killed_at, 2),
        "all_items_after_seconds": round(ended - killed_at, 2),
    }


def _start(found: Machine, effect: str, items: int) -> str:
    command = [sys.executable, "manage.py", "start_run", f"each-{effect}", "--input", json.dumps({"items": items})]
    said = subprocess.run(
        command, cwd=meters.ROOT, env=found.environment, capture_output=True, text=True, check=True
    ).stdout
    return said.split()[0]


def _done(found: Machine, run: str) -> int:
    with psycopg.connect(found.database_url) as connection:
        row = connection.execute(DONE, [run]).fetchone()
    assert row is not None
    return int(row[0])


def _largest_process(worker: subprocess.Popen[bytes]) -> float:
    """Return the megabytes of the largest process of a pool."""
    pool = psutil.Process(worker.pid).children(recursive=True)
    return round(max(process.memory_info().rss for process in pool) / 1e6, 1)


def _kill_workers() -> None:
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if "celery" in process.cmdline():
                process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def _wait_until(enough: Callable[[], bool]) -> float:
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while time.perf_counter() < deadline:
        if enough():
            return time.perf_counter()
        time.sleep(POLL_SECONDS)
    raise SystemExit(f"The items were not done within {PATIENCE_SECONDS} s.")


if __name__ == "__main__":
    main()
