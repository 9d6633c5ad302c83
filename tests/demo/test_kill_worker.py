"""Killing a worker from the page ends exactly that process, and says which run it held."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from portal.core.clock import now
from portal.core.models import AuditEntry
from portal.demo.services.workers import kill_worker, local_process
from tests.factories import make_run, make_workflow
from tests.personas import Personas
from workflows.engine.holder import identity
from workflows.engine.state import RunStatus
from workflows.models import Heartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture
def worker() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that stands in for a worker, with the name that a worker would have."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command) as process:
        place = identity().rsplit(":", 2)[0]
        name = f"{place}:{process.pid}:{psutil.Process(process.pid).create_time():.2f}"
        Heartbeat.objects.create(name=name, kind="worker", started_at=now(), seen_at=now())
        yield process, name
        process.kill()


def test_the_worker_dies_and_its_run_is_named(
    worker: tuple[subprocess.Popen[bytes], str], personas: Personas
) -> None:
    process, name = worker
    run = make_run(make_workflow(), status=RunStatus.RUNNING, lease_owner=name)
    assert kill_worker(actor=personas.actor("support"), name=name) == run
    assert process.wait() == -9
    entry = AuditEntry.objects.get(action="demo.worker.kill")
    assert entry.after == {"run": str(run.id)}


def test_a_process_id_that_was_given_away_is_left_alone(worker: tuple[subprocess.Popen[bytes], str]) -> None:
    _, name = worker
    assert local_process(name) is not None
    assert local_process(name.rpartition(":")[0] + ":1.00") is None
