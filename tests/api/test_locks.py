from __future__ import annotations

import pytest

from portal.core.permissions import Permission
from tests.api.client import Api
from tests.factories import make_lock, make_run, make_workflow
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.models import ResourceLock, Run

pytestmark = pytest.mark.django_db
KEY = "ledger:client/17"
BREAK = "/locks/ledger:client%2F17/break/"
REASON = "Its worker hangs and others wait."


@pytest.fixture
def runs() -> list[Run]:
    workflow = make_workflow()
    made = [make_run(workflow, status=RunStatus.RUNNING) for _ in range(3)]
    make_lock(KEY, *made)
    return made


def test_locks_are_listed_with_their_holders(personas: Personas, runs: list[Run]) -> None:
    (found,) = Api(personas.viewer).get("/locks/").json["results"]
    lock = ResourceLock.objects.get()
    assert (found["key"], found["run"], found["step"]) == (KEY, str(runs[0].pk), "post_to_ledger")
    assert (found["token"], found["waiting_runs"]) == (lock.token, 2)


def test_breaking_one_hands_it_on_once(personas: Personas, runs: list[Run]) -> None:
    api, token = Api(personas.operator), ResourceLock.objects.get().token
    first = api.post(BREAK, {"reason": REASON, "expected_token": token}, key="break-1")
    again = api.post(BREAK, {"reason": REASON, "expected_token": token}, key="break-1")
    assert (first.status, first.json) == (200, {"key": KEY, "run": str(runs[1].pk)})
    assert (again.json, again.headers["Idempotency-Replayed"]) == (first.json, "true")
    assert api.post(BREAK, {"reason": REASON, "expected_token": token}).problem == (409, "stale-version")


def test_what_is_refused(personas: Personas, runs: list[Run]) -> None:
    operator = Api(personas.operator)
    assert Api(personas.support).post(BREAK, {"reason": REASON}).problem == (403, "forbidden")
    assert operator.post(BREAK, {"reason": "because"}).problem == (422, "invalid-input")
    assert operator.post("/locks/nothing/break/", {"reason": REASON}).problem == (404, "not-found")
    scoped = Api(personas.operator, Permission.VIEW_RUN)
    assert scoped.post(BREAK, {"reason": REASON}).problem == (403, "forbidden")
    assert operator.post("/locks/a%00b/break/", {"reason": REASON}).problem == (404, "not-found")
