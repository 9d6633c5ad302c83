"""Events from other programs: checked against their contract, and each acts once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import Api
from tests.events import flows
from tests.events.drive import bring
from tests.personas import Personas
from workflows.models import OutboxMessage, Run

pytestmark = pytest.mark.django_db
EVENTS = "/events/"


def paid(**fields: Any) -> dict[str, Any]:
    return {"name": "test.paid", "payload": {"order": "A-1", "amount": "30.00"}, **fields}


@pytest.fixture
def gateway(personas: Personas) -> Api:
    return Api(personas.operator)


def test_an_event_is_accepted_and_acted_on(gateway: Api) -> None:
    answer = gateway.post(EVENTS, paid(), **{"X-Correlation-ID": "gateway-77"})
    assert answer.status == 201
    assert (answer.json["name"], answer.json["version"], answer.json["key"]) == ("test.paid", 1, "A-1")
    message = OutboxMessage.objects.get(pk=answer.json["id"])
    assert (message.origin, message.correlation_id, str(message.amount)) == ("api", "gateway-77", "30.00")
    bring()
    assert Run.objects.get(workflow__slug=flows.pack.name).correlation_id == "gateway-77"


@pytest.mark.parametrize(("body", "key"), [({"source_id": "evt_1"}, None), ({}, "evt_1")])
def test_a_webhook_that_is_delivered_twice_acts_once(gateway: Api, body: dict[str, str], key: str | None) -> None:
    first, again = (gateway.post(EVENTS, paid(**body), key=key) for _ in range(2))
    assert (first.status, again.status) == (201, 200)
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    bring()
    bring()
    assert Run.objects.filter(workflow__slug=flows.pack.name).count() == 1


def test_the_same_id_with_another_payload_is_a_conflict(gateway: Api) -> None:
    gateway.post(EVENTS, paid(source_id="evt_1"))
    other = paid(source_id="evt_1", payload={"order": "A-1", "amount": "99.00"})
    assert gateway.post(EVENTS, other).problem == (409, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (paid(name="test.unheard-of"), "name"),
        (paid(version=7), "version"),
        (paid(payload={"order": "A-1"}), "payload.amount"),
        (paid(verison=1), "verison"),
    ],
)
def test_what_does_not_fit_is_told_by_field(gateway: Api, body: dict[str, Any], field: str) -> None:
    answer = gateway.post(EVENTS, body)
    assert answer.status == 422
    assert field in answer.json["errors"]
    assert OutboxMessage.objects.count() == 0


def test_who_may_not_emit_is_refused(personas: Personas) -> None:
    assert Api(personas.support).post(EVENTS, paid()).problem == (403, "forbidden")
