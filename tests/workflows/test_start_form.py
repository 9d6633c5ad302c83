from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from portal.core.models import AuditEntry
from tests.personas import Personas
from workflows.models import Run, Workflow
from workflows.services import pause_workflow, register_workflows

pytestmark = pytest.mark.django_db
URL = "/workflows/settle-invoice/start/"
INVOICE = {
    "invoice_number": "INV-2026-00412",
    "client_id": "harbour-lane-estates",
    "amount": "1250.00",
    "currency": "EUR",
    "card_token": "tok_visa_4242",
    "receipt_to": "accounts@harbour-lane.example",
}


@pytest.fixture
def support(personas: Personas) -> Client:
    register_workflows()
    return personas.client("support")


def typed(**values: str) -> dict[str, str]:
    own = {name: value for name, value in values.items() if name in {"idempotency_key", "reason", "token"}}
    fields = {f"input-{name}": value for name, value in (INVOICE | values).items() if name not in own}
    return {"token": uuid4().hex} | own | fields


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def test_the_form_has_a_field_for_each_value_in_the_order_of_the_model(support: Client) -> None:
    html = support.get(URL).content.decode()
    names = re.findall(r'name="input-([a-z_]+)"', html)
    assert names[0] == "invoice_number"
    assert set(names) >= set(INVOICE)
    assert "What the client owes, tax included" in html


def test_a_run_is_started_and_shown(support: Client) -> None:
    response = support.post(URL, typed(reason="The client asked on the telephone."))
    run = Run.objects.get()
    assert (response.status_code, response.headers["Location"]) == (303, f"/runs/{run.pk}/")
    assert (run.input["amount"], run.started_by) == ("1250.00", "Support")
    entry = AuditEntry.objects.get(object_id=str(run.pk))
    assert entry.reason == "The client asked on the telephone."


def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(support: Client) -> None:
    response = support.post(URL, typed(amount="-5", invoice_number="412"))
    html = text_of(response)
    assert response.status_code == 422
    assert "Nothing was started yet" in html
    assert "Input should be greater than 0" in html
    assert "String should match pattern" in html
    assert 'value="harbour-lane-estates"' in html
    assert 'value="-5"' in html
    assert not Run.objects.exists()


def test_a_missing_value_is_told_at_its_field(support: Client) -> None:
    response = support.post(URL, typed(client_id=""))
    assert response.status_code == 422
    assert "This field is required." in text_of(response)


def test_a_double_click_starts_one_run(support: Client) -> None:
    form = typed()
    first, second = support.post(URL, form), support.post(URL, form)
    assert first.headers["Location"] == second.headers["Location"]
    assert Run.objects.count() == 1


def test_a_key_used_before_leads_to_its_run(support: Client) -> None:
    first = support.post(URL, typed(idempotency_key="INV-412"))
    again = support.post(URL, typed(idempotency_key="INV-412"), follow=True)
    assert again.redirect_chain == [(first.headers["Location"], 303)]
    assert "This key was used before: here is that run (started" in text_of(again)
    assert Run.objects.count() == 1


def test_a_key_used_for_another_input_is_refused_with_a_link_to_its_run(support: Client) -> None:
    first = support.post(URL, typed(idempotency_key="INV-412"))
    response = support.post(URL, typed(idempotency_key="INV-412", amount="7.00"))
    assert response.status_code == 422
    assert f'<a href="{first.headers["Location"]}">Show that run</a>' in text_of(response)
    assert "used before, with another input" in text_of(response)


def test_a_held_workflow_says_so_before_the_start(support: Client, personas: Personas) -> None:
    pause_workflow(actor=personas.actor("operator"), slug="settle-invoice", reason="The bank is closed today.")
    assert "New runs are held since" in text_of(support.get(URL))
    page = support.post(URL, typed(), follow=True)
    assert "Held: Settle an invoice is paused by Operator since" in text_of(page)
    assert "The bank is closed today." in text_of(page)


@pytest.mark.parametrize(("persona", "status"), [("viewer", 403), ("manager", 403), ("outsider", 404)])
def test_only_those_with_the_right_start_runs(support: Client, personas: Personas, persona: str, status: int) -> None:
    assert personas.client(persona).get(URL).status_code == status
    assert personas.client(persona).post(URL, typed()).status_code == status
    assert not Run.objects.exists()


def test_an_unknown_workflow_is_not_found(support: Client) -> None:
    assert support.get("/workflows/nothing-here/start/").status_code == 404
    assert Workflow.objects.exists()
