"""A plain Celery chain of ten tasks that do nothing. Not durable: what the broker loses is lost."""

from __future__ import annotations

import os

from celery import Celery, chain

from benchmarks.signals import tell

STEPS = 10
app = Celery("chain", broker=os.environ.get("REDIS_URL"), set_as_current=False)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True, task_default_queue="chain")


@app.task
def step(run: int, number: int) -> None:
    """Do nothing; the last one says so."""
    if number == STEPS:
        tell(f"last {run}")


def start(run: int) -> None:
    """Send one chain."""
    chain(*(step.si(run, number) for number in range(1, STEPS + 1))).apply_async()
