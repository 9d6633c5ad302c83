"""What a workflow of ten trivial steps costs here, beside the floor, a plain Celery chain and DBOS Transact.

``python benchmarks/engine.py [--runs 600] [--in-flight 8] [--workers 2] [--only engine,floor,…]`` prints JSON.
Servers: DATABASE_URL and REDIS_URL if given, else embedded ones with default durability.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import celery_chain
from benchmarks import machine as meters
from benchmarks.floor import TABLE
from benchmarks.machine import Machine, Reading, machine, read_meters
from benchmarks.signals import VARIABLE, Listener

STEPS = 10
VARIANTS = ("ten-external", "ten-database", "ten-mixed")
CELERY = (sys.executable, "-W", "ignore", "-m", "celery", "--quiet")
QUIET = ("--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=600, help="runs of each measurement")
    parser.add_argument("--in-flight", type=int, default=8, help="runs under way at any moment")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--only", default="floor,celery,dbos,engine", help="measurements, separated by commas")
    options = parser.parse_args()
    wanted = options.only.split(",")
    with machine() as found:
        report: dict[str, Any] = {"machine": meters.about(found), "options": vars(options)}
        for name, measure in MEASUREMENTS.items():
            if name in wanted:
                found.recreate_database()
                found.redis().flushall()
                report[name] = measure(found, options)
    print(json.dumps(report | summary(report), indent=2))


def summary(report: dict[str, Any]) -> dict[str, Any]:
    """Return how many times the others' steps per second the engine makes, by its variants."""
    others = {
        name: report[name]["steps_per_second"] for name in ("floor", "celery", "dbos") if _is_measured(report, name)
    }
    return {
        "steps_per_second_compared": {
            f"{processes} {variant}": {
                name: round(measured[variant]["steps_per_second"] / other, 2) for name, other in others.items()
            }
            for processes, measured in report.get("engine", {}).items()
            for variant in VARIANTS
        }
    }


def _is_measured(report: dict[str, Any], name: str) -> bool:
    return "steps_per_second" in report.get(name, {})


# --- the others ------------------------------------------------------------------------------------------


def floor(found: Machine, options: argparse.Namespace) -> dict[str, Any]:
    """One INSERT and commit per step, on as many connections as there are runs in flight."""
    with psycopg.connect(found.database_url, autocommit=True) as connection:
        connection.execute(TABLE)
    threads, each = options.in_flight // options.workers, options.runs * 4 // options.workers
    commands = [
        (sys.executable, "-m", "benchmarks.floor", str(each), str(threads), str(number * each))
        for number in range(options.workers)
    ]
    return _timed_processes(found, commands, runs=each * options.workers)


def dbos(found: Machine, options: argparse.Namespace) -> dict[str, Any]:
    """DBOS Transact with as many threads as there are runs in flight."""
    if not importlib.util.find_spec("dbos"):
        return {"skipped": "not installed: pip install -r requirements/bench.txt"}
    module = (sys.executable, "-m", "benchmarks.dbos_steps")
    threads, each = str(options.in_flight // options.workers), options.runs // options.workers
    _timed_processes(found, [(*module, "1", "1", "schema")], runs=1)  # makes its tables
    commands = [(*module, str(each), threads, f"worker-{number}") for number in range(options.workers)]
    return _timed_processes(found, commands, runs=each * options.workers)


def _timed_processes(found: Machine, commands: Sequence[Sequence[str]], *, runs: int) -> dict[str, Any]:
    """Measure processes that line up, go and say when they are done: without their start and their end."""
    with listening(found, "processes") as listener, found.running(*commands, **told(listener)) as processes:
        listener.wait_for("ready", len(processes))
        before = read_meters(found)
        listener.go()
        listener.wait_for("done", len(processes))
        after = read_meters(found)
        for process in processes:
            process.wait(timeout=60)
    return _settled(found, before, after, runs)


def celery(found: Machine, options: argparse.Namespace) -> dict[str, Any]:
    """A chain of ten tasks that do nothing; nothing is kept."""
    celery_chain.app.conf.broker_url = found.redis_url
    worker = (*CELERY, "-A", "benchmarks.celery_chain", "worker", "-P", "prefork", "-c", str(options.workers))
    with listening(found, "celery") as listener, found.running((*worker, "-Q", "chain", *QUIET), **told(listener)):
        keep_in_flight(celery_chain.start, listener, runs=20, in_flight=1)
        before = read_meters(found)
        keep_in_flight(celery_chain.start, listener, runs=options.runs, in_flight=options.in_flight)
        after = read_meters(found)
    return _settled(found, before, after, options.runs)


# --- the engine ------------------------------------------------------------------------------------------


def engine(found: Machine, options: argparse.Namespace) -> dict[str, Any]:
    """Runs through the engine as it is deployed: start, dispatch, workers, dispatcher.

    Once with as many pool processes as the others have processes, and once with one for each run in flight, as the
    others have a thread for each.
    """
    found.manage("migrate", "--verbosity", "0")
    found.manage("register_workflows")
    start = engine_starter(found)
    return {
        f"{processes}_processes": _engine(found, options, start, processes)
        for processes in sorted({options.workers, options.in_flight})
    }


def _engine(
    found: Machine, options: argparse.Namespace, start: Callable[[str, int], None], processes: int
) -> dict[str, Any]:
    commands = (worker_command(processes), DISPATCHER)
    with listening(found, "engine") as listener, found.running(*commands, **told(listener)):
        result: dict[str, Any] = {}
        for variant in VARIANTS:
            begin = partial(start, variant)
            keep_in_flight(begin, listener, runs=50, in_flight=4)
            before = read_meters(found)
            keep_in_flight(begin, listener, runs=options.runs, in_flight=options.in_flight)
            after = read_meters(found)
            result[variant] = _settled(found, before, after, options.runs)
        waits = [_first_step(start, listener, number) for number in range(100)]
        result["start_to_first_step_idle"] = meters.latency(waits)
    return result


def engine_starter(found: Machine) -> Callable[[str, int], None]:
    """Return a function that starts a run of a named workflow, in this process, as a caller would."""
    os.environ.update(found.environment)
    import django

    django.setup()
    from portal.core.actor import SYSTEM
    from workflows.services import start_run

    def start(workflow: str, number: int) -> None:
        start_run(actor=SYSTEM, workflow=workflow, input={"number": number})

    return start


def worker_command(processes: int) -> Sequence[str]:
    """Return how a Celery worker with that many processes is run."""
    return (*CELERY, "-A", "portal", "worker", "-P", "prefork", "-c", str(processes), "-Q", "workflows", *QUIET)


DISPATCHER = (sys.executable, "manage.py", "dispatcher")


def _first_step(start: Callable[[str, int], None], listener: Listener, number: int) -> float:
    """Return the seconds from the call of ``start`` to the first line of the first step, on an idle engine."""
    time.sleep(0.02)
    began = time.perf_counter()
    start("ten-external", number)
    ran_at = None
    while True:
        word, sent_at = listener.hear()
        if word.startswith("first"):
            ran_at = sent_at
        elif ran_at is not None:
            return ran_at - began


# --- shared ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listening(found: Machine, name: str) -> Iterator[Listener]:
    """Give a listener for the length of a ``with`` block."""
    listener = Listener(found.folder, name)
    try:
        yield listener
    finally:
        listener.close()


def told(listener: Listener) -> dict[str, str]:
    """Return what a process needs to find the listener."""
    return {VARIABLE: str(listener.path)}


def keep_in_flight(start: Callable[[int], None], listener: Listener, *, runs: int, in_flight: int) -> None:
    """Start ``runs`` runs, a new one whenever one has come to its last step, and wait for the last.

    Starting waits for a commit; a thread for each run in flight keeps one start from waiting for another.
    """
    with ThreadPoolExecutor(in_flight) as pool:
        starts = [pool.submit(start, number) for number in range(min(in_flight, runs))]
        for _ in range(runs):
            listener.wait_for("last", 1)
            if len(starts) < runs:
                starts.append(pool.submit(start, len(starts)))
        for each in starts:
            each.result()


def _settled(found: Machine, before: Reading, after: Reading, runs: int) -> dict[str, Any]:
    time.sleep(meters.SETTLE_SECONDS)
    return meters.cost(before, after, read_meters(found), runs=runs, steps=STEPS)


MEASUREMENTS: dict[str, Callable[[Machine, argparse.Namespace], dict[str, Any]]] = {
    "floor": floor,
    "celery": celery,
    "dbos": dbos,
    "engine": engine,
}

if __name__ == "__main__":
    main()
