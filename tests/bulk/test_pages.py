"""The pages: from the list of runs to the dry run, to the operation, to a person's hand on it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from tests.bulk.help import REASON, begin, carry_on, failed_runs, refuse
from tests.engine import drive, flows
from tests.factories import make_heartbeat, make_run, make_workflow
from tests.personas import Personas
from workflows.bulk import engine
from workflows.engine.state import RunStatus
from workflows.models import BulkOperation, Run

pytestmark = pytest.mark.django_db
LINK = "/bulk/new/?kind=run&command=resume&filter=state%3Dfailed"


@pytest.fixture
def operator(personas: Personas) -> Client:
    return personas.client("operator")


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def hidden(response: Any) -> dict[str, str]:
    """Return the form of a dry run as a browser would send it, with a reason."""
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode()))
    fields.pop("csrfmiddlewaretoken", None)
    return {**fields, "filter": "state=failed", "per_minute": "60", "reason": REASON}


def test_the_list_offers_its_filter_and_the_number_it_shows(operator: Client) -> None:
    failed_runs(2)
    page = operator.get("/runs/?state=failed&columns=amount").content.decode()
    assert '<input type="hidden" name="filter" value="state=failed">' in page
    assert '<input type="hidden" name="expected" value="2">' in page
    assert page.count("data-select-row") == 2


@pytest.mark.parametrize("name", ["viewer", "support", "manager"])
def test_those_who_may_not_see_nothing_of_it(personas: Personas, name: str) -> None:
    failed_runs(1)
    page = personas.client(name).get("/runs/").content.decode()
    assert "data-select" not in page
    assert "bulk-bar" not in page


def test_the_dry_run_shows_what_would_happen(operator: Client) -> None:
    failed_runs(3)
    page = text_of(operator.get(f"{LINK}&expected=5"))
    assert "Resume 3 runs?" in page
    assert "It showed 5; now 3 match." in page
    assert "Goes on at “Reserve”" in page
    assert "is sent to test-shop again, under the same operation key" in page
    assert BulkOperation.objects.count() == 0


def test_ticked_rows_count_unless_all_are_asked_for(operator: Client) -> None:
    first, *_ = failed_runs(3)
    assert "Resume 1 run?" in text_of(operator.get(f"{LINK}&id={first.pk}"))
    assert "Resume 3 runs?" in text_of(operator.get(f"{LINK}&id={first.pk}&all=yes"))
    assert operator.get(f"{LINK}&id=nonsense").status_code == 422


def test_a_confirmed_dry_run_starts_once(operator: Client) -> None:
    failed_runs(2)
    form = hidden(operator.get(LINK))
    answers = [operator.post("/bulk/new/", form) for _ in range(2)]
    operation = BulkOperation.objects.get()
    assert [answer.status_code for answer in answers] == [303, 303]
    assert {answer["Location"] for answer in answers} == {f"/bulk/{operation.pk}/"}
    assert (operation.reason, operation.total, operation.user.username) == (REASON, 2, "operator")


def test_a_set_that_changed_is_shown_again_and_confirmed_anew(operator: Client) -> None:
    failed_runs(2)
    form = hidden(operator.get(LINK))
    failed_runs(1)
    refused = operator.post("/bulk/new/", form)
    assert refused.status_code == 409
    assert "2 runs when you looked, and 3 now. Nothing was done." in text_of(refused)
    assert REASON in refused.content.decode()
    assert operator.post("/bulk/new/", hidden(refused)).status_code == 303
    assert BulkOperation.objects.get().total == 3


def test_without_a_reason_nothing_starts(operator: Client) -> None:
    failed_runs(1)
    form = hidden(operator.get(LINK)) | {"reason": "short"}
    answer = operator.post("/bulk/new/", form)
    assert answer.status_code == 422
    assert "Say a little more" in answer.content.decode()


def test_nothing_to_do_has_no_button(operator: Client, personas: Personas) -> None:
    drive.drive(drive.started(flows.order_flow))
    page = text_of(operator.get("/bulk/new/?kind=run&command=resume&filter="))
    assert "There is nothing to do" in page
    assert "bulk-start" not in page
    assert "there is nothing to resume" in page


def test_the_operation_tells_its_story(operator: Client, personas: Personas) -> None:
    with time_machine.travel("2026-11-20 09:00Z", tick=False) as clock:
        make_heartbeat("dispatcher")
        failed_runs(2)
        flows.behaviour["reserve"] = refuse
        operation = carry_on(begin(personas.actor("operator")), clock)
    page = text_of(operator.get(f"/bulk/{operation.pk}/"))
    assert "Halted: Test order" in page
    assert "1 of 2 are not touched" in page
    assert 'hx-trigger="every 2s"' not in page
    assert "Continue…" in page
    assert "Failed again at reserve" in text_of(operator.get(f"/bulk/{operation.pk}/?show=surprises"))


def test_it_says_when_nobody_carries_it_out(operator: Client, personas: Personas) -> None:
    failed_runs(1)
    operation = begin(personas.actor("operator"))
    assert "Nobody is carrying it out" in text_of(operator.get(f"/bulk/{operation.pk}/"))
    make_heartbeat("dispatcher")
    assert "0 of 1 touched" in text_of(operator.get(f"/bulk/{operation.pk}/"))


def test_a_hand_needs_a_reason_and_a_fitting_state(operator: Client, personas: Personas) -> None:
    failed_runs(1)
    address = f"/bulk/{begin(personas.actor('operator')).pk}"
    assert operator.post(f"{address}/pause/", {"reason": "no"}).status_code == 422
    assert operator.post(f"{address}/pause/", {"reason": REASON}).status_code == 303
    again = operator.post(f"{address}/pause/", {"reason": REASON})
    assert again.status_code == 409
    assert "This operation is paused" in text_of(again)


def test_one_may_not_approve_ones_own_and_is_told_so(personas: Personas) -> None:
    failed_runs(1)
    operation = begin(personas.actor("admin"))
    BulkOperation.objects.update(status="asked")
    answer = personas.client("admin").post(f"/bulk/{operation.pk}/approve/", {"reason": REASON})
    assert answer.status_code == 403
    assert "A second person has to approve this" in text_of(answer)


def test_a_long_operation_is_shown_page_by_page(operator: Client, personas: Personas) -> None:
    workflow = make_workflow()
    for _ in range(60):
        make_run(workflow, status=RunStatus.FAILED)
    address = f"/bulk/{begin(personas.actor('operator')).pk}/"
    first = operator.get(address).content.decode()
    assert first.count('<tr id="item-') == 50
    assert operator.get(f"{address}?after=49").content.decode().count('<tr id="item-') == 10


def test_list_and_page_cost_few_queries(
    operator: Client, personas: Personas, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        failed_runs(2)
        engine.advance(begin(personas.actor("operator")).pk)
        Run.objects.filter(status="failed").update(status="cancelled")
    operation = BulkOperation.objects.order_by("id")[0]
    for address in ("/bulk/", f"/bulk/{operation.pk}/"):
        operator.get(address)
        with django_assert_max_num_queries(12):
            assert operator.get(address, headers={"HX-Request": "true"}).status_code == 200


def test_selecting_costs_the_list_of_runs_no_query(
    operator: Client, personas: Personas, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    failed_runs(2)
    operator.get("/runs/")
    with django_assert_max_num_queries(9):
        operator.get("/runs/", headers={"HX-Request": "true"})


def test_the_navigation_counts_what_waits_for_a_person(operator: Client, personas: Personas) -> None:
    failed_runs(1)
    begin(personas.actor("operator"))
    assert "wait for a person" not in text_of(operator.get("/help/"))
    BulkOperation.objects.update(status="halted", halted_because="It failed again.")
    assert "1 wait for a person" in re.sub(r"<[^>]+>|\s+", " ", text_of(operator.get("/help/"))).replace("  ", " ")
