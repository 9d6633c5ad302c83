"""Ten thousand items, and a worker that is killed three times while they are done."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.faults.billing.flows import LETTERS
from tests.faults.checks import histories_are_whole
from tests.faults.fleet import MANAGE, ROOT, Fleet, running_fleet

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
ITEMS = 10_000
MORE_MEGABYTES = 40
RESUMED_WITHIN = 10.0


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside") / "letters"


@pytest.fixture(scope="module")
def fleet(letters: Path) -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LETTERS, str(letters))
        with running_fleet(flows="tests.faults.billing", dispatchers=1) as fleet:
            yield fleet


def start(fleet: Fleet, items: int) -> str:
    """Start a run over so many items, and return its id."""
    with psycopg.connect(fleet.postgres.url) as connection:
        connection.execute("CREATE TABLE test_ledger (operation_key text, number text)")
    command = [*MANAGE, "start_run", "test-billing", "--input", f'{{"invoices": {items}}}']
    said = subprocess.run(command, cwd=ROOT, env=fleet.environment, check=True, capture_output=True, text=True)
    return said.stdout.split()[0]


def reached(fleet: Fleet, run: str, step: str, index: int) -> bool:
    """Tell whether this item is done: they are taken in their order, so about as many are done in all."""
    sql = "SELECT status FROM workflows_stepitem WHERE run_id = %s AND step = %s AND index = %s"
    return fleet.ask(sql, run, step, index) == [("succeeded",)]


def kill_at(fleet: Fleet, run: str, step: str, index: int) -> float:
    """Kill a worker when this item is done; return how long it took until others had done what it had in hand."""
    fleet.wait_until(lambda: reached(fleet, run, step, index), seconds=120, what=f"item {index} of {step}")
    pids = {child.pid for child in psutil.Process(fleet.processes["worker-0"].pid).children(recursive=True)}
    fleet.kill("worker-0")
    killed_at = time.monotonic()
    held = fleet.ask(
        "SELECT index, worker FROM workflows_stepitem WHERE run_id = %s AND step = %s AND status = 'running'",
        run,
        step,
    )
    lost = [index for index, worker in held if int(worker.split(":")[-2]) in pids]
    sql = (
        "SELECT count(*) FROM workflows_stepitem"
        " WHERE run_id = %s AND step = %s AND status = 'succeeded' AND index = ANY(%s)"
    )
    fleet.wait_until(
        lambda: fleet.ask(sql, run, step, lost)[0][0] == len(lost), seconds=60, what="the lost worker's items"
    )
    return time.monotonic() - killed_at


def memory_of(fleet: Fleet, worker: str) -> list[float]:
    """Return the megabytes of each pool process of a worker."""
    pool = psutil.Process(fleet.processes[worker].pid).children()
    return [process.memory_info().rss / 1e6 for process in pool]


def test_ten_thousand_items_are_each_done_once_though_a_worker_is_killed_three_times(
    fleet: Fleet, letters: Path
) -> None:
    run = start(fleet, ITEMS)
    began = time.monotonic()
    resumed = [kill_at(fleet, run, "book", ITEMS // 10)]
    before = memory_of(fleet, "worker-1")
    resumed.append(kill_at(fleet, run, "book", ITEMS * 6 // 10))
    resumed.append(kill_at(fleet, run, "send", ITEMS // 2))
    fleet.wait_until(lambda: fleet.states() == {"succeeded": 1}, seconds=120, what="the end of the run")
    seconds, after = time.monotonic() - began, memory_of(fleet, "worker-1")
    print(  # noqa: T201 - the measurement that this test also is
        f"{2 * ITEMS / seconds:.0f} items/s, resumed after {', '.join(f'{value:.1f}' for value in resumed)} s,"
        f" memory {max(before):.0f} -> {max(after):.0f} MB"
    )
    rows = fleet.ask("SELECT operation_key FROM test_ledger")
    assert Counter(key for (key,) in rows) == {f"{run}:book:0:{index}": 1 for index in range(ITEMS)}
    sent = Counter(letters.read_text().split())
    assert set(sent) == {f"{run}:send:0:{index}" for index in range(ITEMS)}
    assert sum(sent.values()) - ITEMS <= 2, "only what the killed worker's two processes were calling is repeated"
    assert max(resumed) < RESUMED_WITHIN
    assert max(after) - max(before) < MORE_MEGABYTES
    histories_are_whole(fleet)
