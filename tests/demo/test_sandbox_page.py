"""The sandbox page: its switches, the proof, and what it does when the sandbox is gone."""

from __future__ import annotations

import httpx
import pytest
from pytest_django import DjangoAssertNumQueries

from portal.core.models import AuditEntry
from portal.demo import flows
from portal.demo.modes import SERVICES, what_to_watch
from portal.demo.sandbox.client import RunningSandbox
from portal.demo.sandbox.faults import Mode
from tests.personas import Personas
from workflows.models import Heartbeat, Run
from workflows.services.registration import register_workflows

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _registered() -> None:
    register_workflows()


def test_a_switch_acts_at_once_and_is_in_the_audit_trail(sandbox: RunningSandbox, personas: Personas) -> None:
    answer = personas.client("support").post("/sandbox/services/payments/", {"mode": "down"})
    assert (answer.status_code, answer["Location"]) == (303, "/sandbox/")
    assert sandbox.client.faults()["payments"]["mode"] == "down"
    entry = AuditEntry.objects.get(action="demo.service.switch")
    assert (entry.object_id, entry.before, entry.after) == ("payments", {"mode": "ok"}, {"mode": "down"})


def test_htmx_gets_the_fragment_of_the_switched_page(sandbox: RunningSandbox, personas: Personas) -> None:
    answer = personas.client("support").post(
        "/sandbox/services/payments/", {"mode": "slow"}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    assert answer.content.decode().strip().startswith('<div class="stack" id="sandbox"')
    assert "Attempts end after 5 s" in answer.content.decode()


@pytest.mark.parametrize(("slug", "mode", "status"), [("payments", "odd", 422), ("nothing", "ok", 404)])
def test_a_wrong_switch_is_refused(
    sandbox: RunningSandbox, personas: Personas, slug: str, mode: str, status: int
) -> None:
    answer = personas.client("support").post(f"/sandbox/services/{slug}/", {"mode": mode})
    assert answer.status_code == status


@pytest.mark.parametrize("name", ["viewer", "manager"])
def test_who_may_not_operate_the_sandbox_switches_nothing(
    sandbox: RunningSandbox, personas: Personas, name: str
) -> None:
    client = personas.client(name)
    assert client.get("/sandbox/").status_code == 403
    assert client.post("/sandbox/services/payments/", {"mode": "down"}).status_code == 403
    assert sandbox.client.faults()["payments"]["mode"] == "ok"


def test_the_page_says_so_when_the_sandbox_is_gone(personas: Personas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_URL", "http://127.0.0.1:9")
    client = personas.client("support")
    assert "Nothing answers at http://127.0.0.1:9" in client.get("/sandbox/").content.decode()
    assert client.post("/sandbox/services/payments/", {"mode": "down"}).status_code == 503
    monkeypatch.delenv("SANDBOX_URL")
    assert "SANDBOX_URL is not set" in client.get("/sandbox/").content.decode()


def test_the_same_request_twice_is_one_run(sandbox: RunningSandbox, personas: Personas) -> None:
    answer = personas.client("support").post("/sandbox/twice/")
    run = Run.objects.get()
    assert answer["Location"] == f"/runs/{run.pk}/"
    assert run.workflow.slug == flows.settle_invoice.name
    assert run.idempotency_key


def test_an_operation_can_be_looked_up(sandbox: RunningSandbox, personas: Personas) -> None:
    httpx.post(
        f"{sandbox.client.url}/banking/payouts",
        json={"reference": "sought", "amount": "9.00", "currency": "EUR", "account": "DE0212030000"},
        trust_env=False,
    )
    client = personas.client("operator")
    assert "It happened" in client.get("/sandbox/", {"key": " sought "}).content.decode()
    assert "It did not happen" in client.get("/sandbox/", {"key": "never"}).content.decode()


def test_a_worker_of_another_machine_is_not_killed(sandbox: RunningSandbox, personas: Personas) -> None:
    beat = Heartbeat.objects.create(
        name="elsewhere:1:1:1.00", kind="worker", started_at="2026-01-01T00:00Z", seen_at="2026-01-01T00:00Z"
    )
    client = personas.client("support")
    assert client.post("/sandbox/kill/", {"worker": beat.name}).status_code == 404
    assert client.post("/sandbox/kill/", {"worker": ""}).status_code == 404
    assert not AuditEntry.objects.filter(action="demo.worker.kill").exists()


def test_the_page_takes_few_queries(
    sandbox: RunningSandbox, personas: Personas, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = personas.client("support")
    with django_assert_max_num_queries(12):
        assert client.get("/sandbox/").status_code == 200


def test_every_mode_of_every_service_says_what_to_watch() -> None:
    silent = [(s, m) for s in SERVICES.values() for m in s.modes if m is not Mode.OK and not what_to_watch(s, m)]
    assert silent == []
