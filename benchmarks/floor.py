"""The floor: what durability itself costs. One INSERT and commit per step with psycopg, nothing else.

``python -m benchmarks.floor RUNS THREADS FIRST`` is one worker process.
"""

from __future__ import annotations

import os
import sys
import threading

import psycopg

from benchmarks.signals import line_up, tell

STEPS = 10
TABLE = "CREATE TABLE IF NOT EXISTS floor (run int, step int, output jsonb, PRIMARY KEY (run, step))"


def work(url: str, first: int, count: int) -> None:
    """Write the steps of ``count`` runs."""
    with psycopg.connect(url, autocommit=True) as connection:
        for run in range(first, first + count):
            for step in range(STEPS):
                connection.execute("INSERT INTO floor VALUES (%s, %s, '1')", [run, step], prepare=True)


def main() -> None:
    """Share RUNS, numbered from FIRST, among THREADS."""
    runs, threads, first = (int(argument) for argument in sys.argv[1:4])
    each = runs // threads
    workers = [
        threading.Thread(target=work, args=(os.environ["DATABASE_URL"], first + n * each, each))
        for n in range(threads)
    ]
    line_up()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    tell("done")


if __name__ == "__main__":
    main()
