"""A thousand runs under load while brokers, databases, workers and dispatchers come and go."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.faults.checks import books_agree, histories_are_whole
from tests.faults.fleet import Fleet, running_fleet

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
RUNS = 250


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with running_fleet() as fleet:
        yield fleet


def some_are_done(fleet: Fleet, batch: str, number: int) -> None:
    """Wait until so many runs of the batch have succeeded: the middle of the load, whatever the machine's speed."""

    def enough() -> bool:
        (row,) = fleet.ask(
            "SELECT count(*) FROM workflows_run WHERE idempotency_key LIKE %s AND status = 'succeeded'", f"{batch}:%"
        )
        return bool(row[0] >= number)

    fleet.wait_until(enough, seconds=120, what=f"{number} runs of {batch}")


def all_went_well(fleet: Fleet, batch: str) -> None:
    fleet.load_until_done(batch, RUNS, seconds=120)
    fleet.wait_until(lambda: fleet.settled(batch, RUNS), seconds=180, what=f"all runs of {batch}")
    books_agree(fleet, batch, RUNS)
    histories_are_whole(fleet)


def test_the_broker_is_emptied_again_and_again(fleet: Fleet) -> None:
    load = fleet.load("emptied", RUNS)
    for done in (5, 60, 120, 180):
        some_are_done(fleet, "emptied", done)
        fleet.empty_broker()
    load.wait(120)
    all_went_well(fleet, "emptied")


def test_the_broker_is_down_while_runs_are_started(fleet: Fleet) -> None:
    load = fleet.load("broker-down", RUNS)
    some_are_done(fleet, "broker-down", 20)
    fleet.down.add("valkey")
    fleet.kill("valkey")
    load.wait(120)
    assert load.returncode == 0, "starting a run does not need the broker"
    fleet.down.clear()
    all_went_well(fleet, "broker-down")


def test_the_database_is_killed_and_recovers(fleet: Fleet) -> None:
    load = fleet.load("database", RUNS)
    for done in (20, 120):
        some_are_done(fleet, "database", done)
        fleet.kill("postgres")
    fleet.tend()
    load.wait(120)
    all_went_well(fleet, "database")


def test_workers_and_dispatchers_are_killed_under_load(fleet: Fleet) -> None:
    load = fleet.load("killed", RUNS)
    for done, name in ((10, "worker-0"), (60, "dispatcher-0"), (110, "worker-1"), (160, "dispatcher-1")):
        some_are_done(fleet, "killed", done)
        fleet.kill(name)
    load.wait(120)
    all_went_well(fleet, "killed")


def holder_of(fleet: Fleet, batch: str, *, step: str) -> int:
    """Wait until a worker is inside this step of the batch's first run; return its process id."""
    sql = (
        "SELECT r.lease_owner FROM workflows_run r JOIN workflows_steprun s ON s.run_id = r.id"
        " WHERE r.idempotency_key = %s AND r.lease_owner <> '' AND s.step = %s AND s.status = 'running'"
    )
    fleet.wait_until(lambda: bool(fleet.ask(sql, f"{batch}:0", step)), seconds=60, what=f"a worker in {step}")
    (row,) = fleet.ask(sql, f"{batch}:0", step)
    return int(row[0].split(":")[-2])


def test_a_worker_that_is_frozen_past_its_lease_writes_nothing_when_it_wakes(fleet: Fleet) -> None:
    told = "was taken over by another worker"
    fleet.sandbox.client.set_fault("banking", "slow", delay_seconds=6)
    fleet.load_until_done("frozen", 1, seconds=60)
    frozen = holder_of(fleet, "frozen", step="send_payout")
    os.kill(frozen, signal.SIGSTOP)
    fleet.sandbox.client.set_fault("banking")
    fleet.wait_until(lambda: fleet.settled("frozen", 1), seconds=60, what="another worker finishes the run")
    state = "SELECT fence, event_count, status FROM workflows_run WHERE idempotency_key = 'frozen:0'"
    finished = fleet.ask(state)
    before = fleet.said().count(told)
    os.kill(frozen, signal.SIGCONT)
    fleet.wait_until(lambda: fleet.said().count(told) > before, seconds=60, what="the zombie notices")
    assert fleet.ask(state) == finished
    books_agree(fleet, "frozen", 1)
    histories_are_whole(fleet)
