from __future__ import annotations

from datetime import timedelta

import pytest

from portal.core.clock import now
from portal.core.models import AuditEntry
from tests.api.client import Api
from tests.factories import make_dependency, make_workflow, open_breaker
from tests.personas import Personas
from workflows.models import CallWindow, Dependency

pytestmark = pytest.mark.django_db
NAME = "payments-gateway"
REASON = "The provider announced maintenance."


def test_one_is_read_with_its_promises_and_what_it_gives(personas: Personas) -> None:
    make_workflow()
    dependency = make_dependency(NAME)
    CallWindow.objects.create(dependency=dependency, slot_at=now(), calls=100, failures=20, slow=5, total_ms=9000)
    found = Api(personas.viewer).get(f"/dependencies/{NAME}/").json
    assert (found["name"], found["state"], found["waiting_runs"]) == (NAME, "closed", 0)
    assert found["observed"] == {"calls": 100, "availability": 0.8, "mean_seconds": 0.09, "slow": 0.05}
    assert found["policy"]["max_concurrency"] is None
    assert [need["workflow"] for need in found["needs"]] == ["settle-invoice"]


@pytest.mark.parametrize(
    ("command", "state"), [("hold-open", "forced_open"), ("hold-closed", "forced_closed"), ("reset", "closed")]
)
def test_a_command_acts_once_and_is_on_record(personas: Personas, command: str, state: str) -> None:
    since = open_breaker(NAME).state_since.isoformat()
    ends = {} if command == "reset" else {"until": (now() + timedelta(hours=1)).isoformat()}
    body = {"reason": REASON, "expected_since": since, **ends}
    api = Api(personas.operator)
    first, again = (api.post(f"/dependencies/{NAME}/{command}/", body, key="once") for _ in range(2))
    assert (first.status, first.json["state"], again.headers["Idempotency-Replayed"]) == (200, state, "true")
    assert AuditEntry.objects.filter(reason=REASON).count() == 1
    assert api.post(f"/dependencies/{NAME}/{command}/", body).problem == (409, "stale-version")


def test_what_is_refused(personas: Personas) -> None:
    open_breaker(NAME)
    reset, operator = f"/dependencies/{NAME}/reset/", Api(personas.operator)
    assert Api(personas.support).post(reset, {"reason": REASON}).problem == (403, "forbidden")
    assert operator.post(reset, {"reason": "because"}).problem == (422, "invalid-input")
    assert operator.post(f"/dependencies/{NAME}/hold-open/", {"reason": REASON}).problem == (422, "invalid-input")
    assert operator.get("/dependencies/nothing/").problem == (404, "not-found")
    assert Dependency.objects.get().state == "open"
