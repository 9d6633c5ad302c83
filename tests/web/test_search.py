"""What the palette finds, and for whom."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.factories import make_run, make_workflow
from tests.personas import Personas
from workflows.models import Run

pytestmark = pytest.mark.django_db


def found(client: Client, text: str) -> str:
    return client.get("/search/", {"q": text}, headers={"HX-Request": "true"}).content.decode()


@pytest.fixture
def run(personas: Personas) -> Run:
    make_workflow()
    return make_run(customer_key="harbour-lane", idempotency_key="invoice-77")


@pytest.mark.parametrize("name", ["id", "start of the id", "customer", "idempotency key", "correlation id"])
def test_a_run_is_found_by_each_of_its_names(personas: Personas, run: Run, name: str) -> None:
    text = {
        "id": str(run.id),
        "start of the id": str(run.id)[:20],
        "customer": "Harbour",
        "idempotency key": "invoice-77",
        "correlation id": run.correlation_id,
    }[name]
    assert f"/runs/{run.id}/" in found(personas.client("viewer"), text)


def test_an_outsider_finds_nothing(personas: Personas, run: Run) -> None:
    answer = found(personas.client("outsider"), str(run.id))
    assert f"/runs/{run.id}/" not in answer
    assert "Nothing is called" in answer


def test_actions_are_offered_to_those_who_may(personas: Personas, run: Run) -> None:
    assert "Start Settle" in found(personas.client("support"), "settle")
    assert "Start Settle" not in found(personas.client("viewer"), "settle")


def test_a_search_takes_few_queries(
    personas: Personas, run: Run, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = personas.client("operator")
    with django_assert_max_num_queries(7):
        found(client, "settle")
