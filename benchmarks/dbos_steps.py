"""DBOS Transact: workflows of ten trivial steps, checkpointed in PostgreSQL.

``python -m benchmarks.dbos_steps RUNS THREADS NAME`` is one worker process.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSConfig

from benchmarks.signals import line_up, tell

STEPS = 10


@DBOS.step()
def step(number: int) -> int:
    """Do nothing."""
    return number


@DBOS.workflow()
def ten_steps(number: int) -> int:
    """Do nothing, ten times."""
    for each in range(STEPS):
        number = step(number + each)
    return number


def main() -> None:
    """Run RUNS workflows, THREADS of them at a time."""
    runs, threads, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    config: DBOSConfig = {
        "name": "benchmark",
        "system_database_url": os.environ["DATABASE_URL"],
        "executor_id": name,
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(ten_steps, range(threads)))
        line_up()
        list(pool.map(ten_steps, range(runs)))
    tell("done")
    DBOS.destroy()


if __name__ == "__main__":
    main()
