"""The pages of contracts: what an event says, who emits it, who acts on it, and whether both understand it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.core.clock import now
from tests.deadletters.shop import make_event, subscriber
from tests.personas import Personas
from workflows import Event
from workflows.definition import contracts
from workflows.definition.event import contract_of
from workflows.events.pages.contracts import contract_list, contract_page
from workflows.models import OutboxMessage
from workflows.presentation import StateName

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _subscriber(db: None) -> None:
    subscriber()


@pytest.fixture
def next_version() -> Iterator[type[Event]]:
    """A version that takes away what the subscriber needs."""

    class Received(Event, name="test.received", version=3):
        invoice: str
        paid_at: str

    yield Received
    contracts.forget(contract_of(Received))


def test_an_event_is_shown_with_its_fields_and_who_acts_on_it(personas: Personas) -> None:
    make_event()
    OutboxMessage.objects.create(
        name="test.received", version=1, payload={}, origin="api", correlation_id="c", emitted_at=now()
    )
    page = personas.client("viewer").get("/contracts/test.received/").content.decode()
    for words in ("Version 2", "decimal number", "more than 0", "sensitive", "Book a payment", "starts a run"):
        assert words in page
    event = contract_page(personas.actor("viewer"), "test.received")
    assert [(version.contract.version, version.volume) for version in event.versions] == [(2, 1)]
    assert event.state.name == StateName.OK


def test_a_version_that_breaks_its_promise_says_why(personas: Personas, next_version: type[Event]) -> None:
    event = contract_page(personas.actor("viewer"), "test.received")
    latest = event.versions[0]
    assert latest.state.name == StateName.FAILED
    assert [(misfit.field, misfit.problem) for misfit in latest.problems] == [("paid_at", "is needed, but not sent")]
    (consumer,) = event.consumers
    assert {misfit.field for misfit in consumer.problems} == {"client", "amount", "iban"}
    page = personas.client("viewer").get("/contracts/test.received/").content.decode()
    assert "Does not fit" in page
    assert "is needed, but not sent" in page


def test_only_events_of_workflows_that_one_may_see_are_listed(personas: Personas) -> None:
    assert "test.received" in {event.name for event in contract_list(personas.actor("viewer"))}
    assert "test.received" not in {event.name for event in contract_list(personas.actor("team_operator"))}
    client = personas.client("team_operator")
    for name in ("test.received", "no.such.event"):
        assert client.get(f"/contracts/{name}/").status_code == 404


def test_the_list_is_cheap_and_leaves_out_what_one_may_not_see(personas: Personas) -> None:
    client = personas.client("viewer")
    with CaptureQueriesContext(connection) as queries:
        page = client.get("/contracts/").content.decode()
    assert "test.received" in page
    assert len(queries) <= 12
    listed = personas.client("team_operator").get("/contracts/").content.decode()
    assert "test.received" not in listed
