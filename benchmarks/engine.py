"""What a workflow of ten trivial steps costs here, beside the floor, a plain Celery chain and DBOS Transact.

``python benchmarks/engine.py [--runs 400] [--in-flight 1,8,32] [--workers 1,2] [--only engine,dbos,…]
[--variants ten-mixed,…]`` prints JSON: everything once for each number of runs in flight and each number of worker
processes, some six minutes in all. Servers: DATABASE_URL and REDIS_URL if given, else embedded ones with default
durability.
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
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import celery_chain
from benchmarks import machine as meters
from benchmarks.floor import TABLE
from benchmarks.machine import Machine, machine, read_meters
from benchmarks.signals import VARIABLE, Listener

STEPS = 10
VARIANTS = ("ten-external", "ten-database", "ten-mixed")
CELERY = (sys.executable, "-W", "ignore", "-m", "celery", "--quiet")
QUIET = ("--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")


@dataclass(frozen=True, slots=True)
class Setting:
    """How one measurement is made: worker processes, runs under way at any moment, runs in all."""

    workers: int
    in_flight: int
    runs: int
    variants: Sequence[str]

    @property
    def processes(self) -> int:
        """Processes with threads of their own, of which no more are of use than there are runs in flight."""
        return min(self.workers, self.in_flight)

    @property
    def threads(self) -> int:
        """Threads of each such process."""
        return self.in_flight // self.processes


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="runs of each measurement")
    parser.add_argument("--in-flight", type=_numbers, default=[1, 8, 32], help="runs under way at any moment")
    parser.add_argument("--workers", type=_numbers, default=[1, 2], help="worker processes")
    parser.add_argument("--only", type=_words, default=list(MEASUREMENTS), help="measurements")
    parser.add_argument("--variants", type=_words, default=list(VARIANTS), help="workflows of the engine")
    options = parser.parse_args()
    with machine() as found:
        report = {
            "machine": meters.about(found),
            "options": vars(options),
            "measured": [
                _measure(found, Setting(workers, in_flight, options.runs, options.variants), options.only)
                for workers in options.workers
                for in_flight in options.in_flight
            ],
        }
    print(json.dumps(report, indent=2))


def _measure(found: Machine, setting: Setting, wanted: Sequence[str]) -> dict[str, Any]:
    """Make all measurements that are wanted with this setting."""
    result: dict[str, Any] = {"workers": setting.workers, "in_flight": setting.in_flight}
    for name, measure in MEASUREMENTS.items():
        if name in wanted:
            found.recreate_database()
            found.redis().flushall()
            result[name] = measure(found, setting)
            sys.stderr.write(f"{setting.workers} workers, {setting.in_flight} in flight: {name} is measured\n")
    return result | {"steps_per_second_compared": _compared(result)}


def _compared(result: dict[str, Any]) -> dict[str, Any]:
    """Return how many times the others' steps per second the engine makes, by its variants."""
    others = {
        name: result[name]["steps_per_second"]
        for name in ("floor", "celery", "dbos")
        if "steps_per_second" in result.get(name, {})
    }
    return {
        variant: {name: round(measured["steps_per_second"] / other, 2) for name, other in others.items()}
        for variant, measured in result.get("engine", {}).items()
        if variant in VARIANTS
    }


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


# --- the others ------------------------------------------------------------------------------------------


def floor(found: Machine, setting: Setting) -> dict[str, Any]:
    """One INSERT and commit per step, on as many connections as there are runs in flight."""
    with psycopg.connect(found.database_url, autocommit=True) as connection:
        connection.execute(TABLE)
    each = setting.runs * 4 // setting.processes
    commands = [
        (sys.executable, "-m", "benchmarks.floor", str(each), str(setting.threads), str(number * each))
        for number in range(setting.processes)
    ]
    return _timed_processes(found, commands, runs=each // setting.threads * setting.threads * setting.processes)


def dbos(found: Machine, setting: Setting) -> dict[str, Any]:
    """DBOS Transact with as many threads as there are runs in flight."""
    if not importlib.util.find_spec("dbos"):
        return {"skipped": "not installed: pip install -r requirements/bench.txt"}
    module = (sys.executable, "-m", "benchmarks.dbos_steps")
    each = setting.runs // setting.processes
    _timed_processes(found, [(*module, "1", "1", "schema")], runs=1)  # makes its tables
    commands = [(*module, str(each), str(setting.threads), f"worker-{number}") for number in range(setting.processes)]
    return _timed_processes(found, commands, runs=each * setting.processes)


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
    return meters.cost(before, after, runs=runs, steps=STEPS)


def celery(found: Machine, setting: Setting) -> dict[str, Any]:
    """A chain of ten tasks that do nothing; nothing is kept."""
    celery_chain.app.conf.update(broker_url=found.redis_url)
    worker = (*CELERY, "-A", "benchmarks.celery_chain", "worker", "-P", "prefork", "-c", str(setting.workers))
    with listening(found, "celery") as listener, found.running((*worker, "-Q", "chain", *QUIET), **told(listener)):
        keep_in_flight(celery_chain.start, listener, runs=20, in_flight=1)
        before = read_meters(found)
        keep_in_flight(celery_chain.start, listener, runs=setting.runs, in_flight=setting.in_flight)
        after = read_meters(found)
    return meters.cost(before, after, runs=setting.runs, steps=STEPS)


# --- the engine ------------------------------------------------------------------------------------------


def engine(found: Machine, setting: Setting) -> dict[str, Any]:
    """Runs through the engine as it is deployed: start, dispatch, workers, dispatcher."""
    found.manage("migrate", "--verbosity", "0")
    found.manage("register_workflows")
    start = engine_starter(found)
    result: dict[str, Any] = {}
    commands = (worker_command(setting.workers), DISPATCHER)
    with listening(found, "engine") as listener, found.running(*commands, **told(listener)):
        for variant in setting.variants:
            begin = partial(start, variant)
            keep_in_flight(begin, listener, runs=50, in_flight=4)
            before = read_meters(found)
            keep_in_flight(begin, listener, runs=setting.runs, in_flight=setting.in_flight)
            after = read_meters(found)
            result[variant] = meters.cost(before, after, runs=setting.runs, steps=STEPS)
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


MEASUREMENTS: dict[str, Callable[[Machine, Setting], dict[str, Any]]] = {
    "floor": floor,
    "celery": celery,
    "dbos": dbos,
    "engine": engine,
}

if __name__ == "__main__":
    main()
