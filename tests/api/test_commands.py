from __future__ import annotations

from uuid import uuid4

import pytest

from portal.core.models import AuditEntry
from portal.core.permissions import Permission
from tests.api.client import Api
from tests.factories import make_run
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.models import Run, Workflow
from workflows.services import register_workflows

pytestmark = pytest.mark.django_db
INVOICE = {
    "invoice_number": "INV-2026-00412",
    "client_id": "harbour-lane-estates",
    "amount": "1250.00",
    "currency": "EUR",
    "card_token": "tok_visa_4242",
    "receipt_to": "accounts@harbour-lane.example",
}
START = "/workflows/settle-invoice/runs/"
REASON = "The gateway is up again."


def settle_invoice() -> Workflow:
    return Workflow.objects.get(slug="settle-invoice")


@pytest.fixture
def support(personas: Personas) -> Api:
    register_workflows()
    return Api(personas.support)


def test_a_run_is_started(support: Api) -> None:
    answer = support.post(START, {"input": INVOICE}, **{"X-Correlation-ID": "billing-4711"})
    assert answer.status == 201
    run = Run.objects.get(pk=answer.json["id"])
    assert (run.status, run.customer_key, run.correlation_id) == ("queued", "harbour-lane-estates", "billing-4711")
    assert (answer.json["amount"], answer.json["idempotency_key"]) == ("1250.00", None)
    assert AuditEntry.objects.get(object_id=run.pk).action == "workflows.run.start"


def test_the_same_key_gives_the_first_run(support: Api, personas: Personas) -> None:
    first = support.post(START, {"input": INVOICE}, key="invoice-412")
    again = support.post(START, {"input": INVOICE}, key="invoice-412")
    by_another = Api(personas.operator).post(START, {"input": INVOICE}, key="invoice-412")
    assert [(a.status, a.json["id"]) for a in (first, again, by_another)] == [
        (201, first.json["id"]),
        (200, first.json["id"]),
        (200, first.json["id"]),
    ]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert Run.objects.count() == 1


def test_the_same_key_with_another_input_is_refused(support: Api) -> None:
    support.post(START, {"input": INVOICE}, key="invoice-412")
    answer = support.post(START, {"input": INVOICE | {"amount": "1.00"}}, key="invoice-412")
    assert answer.problem == (409, "idempotency-key-reused")
    assert Run.objects.count() == 1


def test_without_a_key_each_request_is_a_run(support: Api) -> None:
    assert {support.post(START, {"input": INVOICE}).status for _ in range(2)} == {201}
    assert Run.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": INVOICE | {"amount": "-1"}}, "amount"),
        ({"input": INVOICE | {"currency": None}}, "currency"),
        ({"input": INVOICE, "idempotency_key": "x"}, "idempotency_key"),
    ],
)
def test_an_input_that_does_not_fit_names_its_fields(support: Api, body: dict[str, object], field: str) -> None:
    answer = support.post(START, body)
    assert answer.problem == (422, "invalid-input")
    assert list(answer.json["errors"]) == [field]
    assert not Run.objects.exists()


def test_a_key_that_is_no_key_is_refused(support: Api) -> None:
    answer = support.post(START, {"input": INVOICE}, key="with a blank")
    assert list(answer.json["errors"]) == ["Idempotency-Key"]


def test_starting_needs_the_right_and_the_scope(personas: Personas) -> None:
    register_workflows()
    narrowed = Api(personas.support, Permission.VIEW_RUN, Permission.VIEW_WORKFLOW)
    for api in (Api(personas.viewer), narrowed):
        assert api.post(START, {"input": INVOICE}).problem == (403, "forbidden")
    assert Api(personas.outsider).post(START, {"input": INVOICE}).problem == (404, "not-found")
    assert not Run.objects.exists()
    assert AuditEntry.objects.filter(result="refused").count() == 2


def test_a_failed_run_is_resumed(support: Api) -> None:
    run = make_run(settle_invoice(), status=RunStatus.FAILED)
    answer = support.post(f"/runs/{run.pk}/resume/", {"reason": REASON, "expected_revision": run.event_count})
    assert (answer.status, answer.json["status"]) == (200, "queued")
    assert answer.json["revision"] == run.event_count + 1
    assert AuditEntry.objects.get(object_id=run.pk).reason == REASON


def test_a_command_acts_once_per_key(support: Api) -> None:
    run = make_run(settle_invoice(), status=RunStatus.FAILED)
    first = support.post(f"/runs/{run.pk}/resume/", {"reason": REASON}, key="k-1")
    Run.objects.filter(pk=run.pk).update(status=RunStatus.RUNNING)
    again = support.post(f"/runs/{run.pk}/resume/", {"reason": REASON}, key="k-1")
    assert (again.status, again.json) == (200, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = support.post(f"/runs/{run.pk}/resume/", {"reason": REASON + "!"}, key="k-1")
    assert other.problem == (409, "idempotency-key-reused")
    assert AuditEntry.objects.filter(object_id=run.pk).count() == 1


def test_a_refused_command_may_be_sent_again_with_its_key(support: Api) -> None:
    run = make_run(settle_invoice(), status=RunStatus.RUNNING)
    refused = support.post(f"/runs/{run.pk}/resume/", {"reason": REASON}, key="k-1")
    assert refused.problem == (409, "invalid-transition")
    failed = make_run(settle_invoice(), status=RunStatus.FAILED)
    assert support.post(f"/runs/{failed.pk}/resume/", {"reason": REASON}, key="k-1").status == 200


def test_a_run_that_has_changed_meanwhile_is_left_alone(support: Api) -> None:
    run = make_run(settle_invoice(), status=RunStatus.FAILED)
    answer = support.post(f"/runs/{run.pk}/resume/", {"reason": REASON, "expected_revision": 1})
    assert answer.problem == (409, "stale-version")
    run.refresh_from_db()
    assert run.status == RunStatus.FAILED


@pytest.mark.parametrize(
    ("command", "body", "field"),
    [
        ("resume", {}, "reason"),
        ("resume", {"reason": "short"}, "reason"),
        ("resume", {"reason": " " * 20}, "reason"),
        ("resume", {"reason": REASON, "expected_revision": -1}, "expected_revision"),
        ("retry", {"reason": REASON}, "step"),
        ("decide", {"reason": REASON, "step": "charge"}, "happened"),
        ("rollback", {"reason": REASON, "tostep": "charge"}, "tostep"),
    ],
)
def test_a_body_that_does_not_fit_names_its_fields(
    personas: Personas, command: str, body: dict[str, object], field: str
) -> None:
    register_workflows()
    run = make_run(settle_invoice(), status=RunStatus.FAILED)
    answer = Api(personas.operator).post(f"/runs/{run.pk}/{command}/", body)
    assert answer.problem == (422, "invalid-input")
    assert list(answer.json["errors"]) == [field]


COMMANDS = ["resume", "retry", "skip", "decide", "pause", "cancel", "rollback"]
BODY = {"reason": REASON, "step": "charge", "happened": True}
FIELDS = {"retry": ["step"], "skip": ["step"], "decide": ["step", "happened"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_need_the_right_on_a_run_that_one_may_see(personas: Personas, command: str) -> None:
    register_workflows()
    run = make_run(settle_invoice(), status=RunStatus.FAILED)
    body = {name: BODY[name] for name in ["reason", *FIELDS.get(command, [])]}
    assert Api(personas.viewer).post(f"/runs/{run.pk}/{command}/", body).problem == (403, "forbidden")
    assert Api(personas.outsider).post(f"/runs/{run.pk}/{command}/", body).problem == (404, "not-found")
    assert Api(personas.operator).post(f"/runs/{uuid4()}/{command}/", body).problem == (404, "not-found")


def test_a_waiting_run_is_paused_cancelled_and_rolled_back(personas: Personas) -> None:
    register_workflows()
    api = Api(personas.operator)
    run = make_run(settle_invoice(), status=RunStatus.WAITING)
    for command, status in (("pause", "paused"), ("cancel", "cancelled"), ("rollback", "rolling_back")):
        answer = api.post(f"/runs/{run.pk}/{command}/", {"reason": REASON})
        assert (answer.status, answer.json["status"]) == (200, status)


def test_a_rollback_is_previewed(personas: Personas) -> None:
    register_workflows()
    run = make_run(settle_invoice(), status=RunStatus.FAILED, at="send_receipt")
    answer = Api(personas.viewer).get(f"/runs/{run.pk}/rollback-preview/")
    assert [line["step"] for line in answer.json["undone"]] == ["post_to_ledger", "charge"]
    assert (answer.json["amount"], answer.json["currency"]) == ("1250.00", "EUR")
    unknown = Api(personas.viewer).get(f"/runs/{run.pk}/rollback-preview/", {"to_step": "nothing"})
    assert unknown.problem == (404, "not-found")


def test_new_runs_of_a_workflow_are_held_and_let_go(personas: Personas) -> None:
    register_workflows()
    api = Api(personas.operator)
    held = api.post("/workflows/settle-invoice/pause/", {"reason": "The ledger is under maintenance."}, key="hold-1")
    assert (held.status, held.json["paused_reason"]) == (200, "The ledger is under maintenance.")
    again = api.post("/workflows/settle-invoice/pause/", {"reason": "The ledger is under maintenance."}, key="hold-1")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert api.post(START, {"input": INVOICE}).json["status"] == "scheduled"
    assert api.post("/workflows/settle-invoice/pause/", {"reason": REASON}).problem == (409, "invalid-transition")
    released = api.post("/workflows/settle-invoice/resume/", {"reason": REASON})
    assert released.json["paused_at"] is None
    assert Run.objects.get().status == "queued"
