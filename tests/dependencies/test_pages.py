"""The pages of dependencies and the dialogs on them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.core.clock import now
from portal.core.models import AuditEntry
from tests.factories import make_dependency, make_run, make_workflow, open_breaker
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.models import CallWindow, Dependency

pytestmark = pytest.mark.django_db

NAME = "payments-gateway"
REASON = "The provider announced maintenance"
DIALOGS = ["hold-open", "hold-closed", "reset"]


def post(client: Client, command: str, **changes: str) -> tuple[int, str]:
    seen = Dependency.objects.get(name=NAME).state_since.isoformat()
    data = {"reason": REASON, "minutes": "60", "seen_since": seen} | changes
    response = client.post(f"/dependencies/{NAME}/{command}/", data)
    return response.status_code, response.content.decode()


def test_the_list_says_what_is_cut_off_and_who_waits(personas: Personas) -> None:
    workflow = make_workflow()
    make_run(workflow, status=RunStatus.WAITING)
    dependency = open_breaker(NAME)
    CallWindow.objects.create(dependency=dependency, slot_at=now(), calls=20, failures=15)
    page = personas.client("viewer").get("/dependencies/").content.decode()
    assert "75 %" in page
    assert "1 run waits" in page
    assert workflow.title in page
    assert "probe" in page


def test_the_list_without_trouble_says_so(personas: Personas) -> None:
    make_dependency(NAME)
    assert "All breakers are closed" in personas.client("viewer").get("/dependencies/").content.decode()


def test_the_empty_list_says_how_to_begin(personas: Personas) -> None:
    assert "No dependencies yet" in personas.client("viewer").get("/dependencies/").content.decode()


def test_a_poll_gets_the_fragment_of_the_same_address(personas: Personas) -> None:
    make_dependency(NAME)
    response = personas.client("viewer").get("/dependencies/", headers={"HX-Request": "true"})
    assert response.content.decode().lstrip().startswith('<div id="dependency-list"')


def test_the_page_tells_the_whole_story(personas: Personas) -> None:
    make_workflow()
    open_breaker(NAME)
    page = personas.client("operator").get(f"/dependencies/{NAME}/").content.decode()
    assert "<strong>Open</strong>" in page
    assert "8 of the last 10 calls failed" in page
    assert "payments-gateway answered 502 Bad Gateway" in page
    assert "Next probe" in page
    assert "Stop all calls" in page


def test_a_closed_breaker_offers_no_closing(personas: Personas) -> None:
    make_dependency(NAME)
    page = personas.client("operator").get(f"/dependencies/{NAME}/").content.decode()
    assert "Stop all calls" in page
    assert "Close the breaker" not in page


def test_who_may_only_look_gets_no_buttons(personas: Personas) -> None:
    make_dependency(NAME)
    page = personas.client("viewer").get(f"/dependencies/{NAME}/").content.decode()
    assert "hold-open" not in page
    assert "Operators may" in page


@pytest.mark.parametrize("path", ["", "payments-gateway/"])
@pytest.mark.parametrize("dependencies", [1, 6])
def test_pages_cost_few_queries_however_many_there_are(personas: Personas, path: str, dependencies: int) -> None:
    make_workflow()
    for number in range(dependencies):
        make_dependency(f"service-{number}")
    open_breaker(NAME)
    client = personas.client("operator")
    with CaptureQueriesContext(connection) as queries:
        assert client.get(f"/dependencies/{path}").status_code == 200
    assert len(queries) <= 12


@pytest.mark.parametrize("command", DIALOGS)
def test_a_dialog_says_what_happens(personas: Personas, command: str) -> None:
    open_breaker(NAME)
    page = personas.client("operator").get(f"/dependencies/{NAME}/{command}/").content.decode()
    for words in ("What happens", "Keep in mind", "data-cancel", 'name="reason"', "data-once"):
        assert words in page


@pytest.mark.parametrize("command", DIALOGS)
@pytest.mark.parametrize(("who", "status"), [("viewer", 403), ("support", 403), ("outsider", 404)])
def test_only_operators_get_the_dialogs(personas: Personas, command: str, who: str, status: int) -> None:
    open_breaker(NAME)
    client = personas.client(who)
    assert client.get(f"/dependencies/{NAME}/{command}/").status_code == status
    assert post(client, command)[0] == status
    assert Dependency.objects.get().state == "open"


@pytest.mark.parametrize(
    ("command", "state"), [("hold-open", "forced_open"), ("hold-closed", "forced_closed"), ("reset", "closed")]
)
def test_confirming_does_it_once(personas: Personas, command: str, state: str) -> None:
    seen = open_breaker(NAME).state_since.isoformat()
    client = personas.client("operator")
    assert post(client, command)[0] == 303
    row = Dependency.objects.get()
    assert row.state == state
    assert row.forced_until is None or timedelta(minutes=59) < row.forced_until - now() <= timedelta(minutes=60)
    status, page = post(client, command, seen_since=seen)
    assert status == 409
    assert "has changed since you looked" in page
    assert AuditEntry.objects.filter(object_label=NAME).count() == 1


@pytest.mark.parametrize("command", DIALOGS)
def test_a_reason_is_required(personas: Personas, command: str) -> None:
    open_breaker(NAME)
    status, page = post(personas.client("operator"), command, reason="because")
    assert status == 422
    assert "Say a little more" in page
    assert Dependency.objects.get().state == "open"


def test_an_unknown_dependency_is_not_found(personas: Personas) -> None:
    assert personas.client("operator").get("/dependencies/nothing/").status_code == 404
