"""The same request twice at the same time: two connections, one effect."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from portal.core.models import AuditEntry
from tests.api.client import Answer, Api
from tests.api.test_commands import INVOICE, REASON, START
from tests.factories import make_run
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.models import Run, Workflow
from workflows.services import register_workflows

pytestmark = pytest.mark.django_db(transaction=True)
AT_ONCE = 4


def at_once(request: Callable[[], Answer]) -> list[Answer]:
    """Send a request from several threads, each with a connection of its own."""
    start_line = Barrier(AT_ONCE)

    def send() -> Answer:
        start_line.wait(10)
        try:
            return request()
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(send) for _ in range(AT_ONCE)]]


def test_one_run_is_started(personas: Personas) -> None:
    register_workflows()
    api = Api(personas.support)
    answers = at_once(lambda: api.post(START, {"input": INVOICE}, key="invoice-412"))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 201]
    assert {answer.json["id"] for answer in answers} == {str(Run.objects.get().pk)}


def test_a_command_acts_once_and_all_get_its_answer(personas: Personas) -> None:
    register_workflows()
    run = make_run(Workflow.objects.get(slug="settle-invoice"), status=RunStatus.FAILED)
    api = Api(personas.support)
    answers = at_once(lambda: api.post(f"/runs/{run.pk}/resume/", {"reason": REASON}, key="k-1"))
    assert {answer.status for answer in answers} == {200}
    assert all(answer.json == answers[0].json for answer in answers)
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == AT_ONCE - 1
    assert AuditEntry.objects.filter(object_id=run.pk, action="workflows.run.resume").count() == 1


def test_without_a_key_one_command_wins_and_the_others_are_told(personas: Personas) -> None:
    register_workflows()
    run = make_run(Workflow.objects.get(slug="settle-invoice"), status=RunStatus.FAILED)
    api = Api(personas.support)
    body = {"reason": REASON, "expected_revision": run.event_count}
    answers = at_once(lambda: api.post(f"/runs/{run.pk}/resume/", body))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
