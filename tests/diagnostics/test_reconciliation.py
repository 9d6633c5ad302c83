"""Checks of two sources of truth: when they run, what they keep, and that they never call the unseen good."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.urls import reverse

from diagnostics import CannotSee, Mismatch, reconciliation
from diagnostics.models import Discrepancy, Reconciliation
from diagnostics.reconciliation import definition
from diagnostics.reconciliation.definition import Rhythm
from diagnostics.reconciliation.queries import check_detail, check_list
from diagnostics.reconciliation.services import carry_out, request_reconciliation, start_due_reconciliations
from portal.core.actor import SYSTEM
from portal.core.clock import now
from portal.core.errors import Conflict, Forbidden, NotFound
from portal.core.models import AuditEntry
from tests.api.client import make_token
from tests.personas import Personas
from workflows.errors import DefinitionError
from workflows.schedules.cron import Cron

pytestmark = pytest.mark.django_db
NAME = "books"
found: list[Mismatch] = []
looked: list[int] = []


def compare() -> Iterable[Mismatch]:
    """Compare the bank with the books. Every day."""
    looked.append(1)
    yield from found


def declare(function: Callable[[], Iterable[Mismatch]] = compare, **how: Any) -> None:
    given: dict[str, Any] = {
        "title": "Bank and books",
        "owner": "finance-operations",
        "left": "Bank",
        "right": "Books",
    }
    reconciliation(how.pop("name", NAME), every=how.pop("every", timedelta(minutes=5)), **(given | how))(function)


@pytest.fixture(autouse=True)
def _checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the test's own check, which finds nothing at first."""
    monkeypatch.setattr(definition, "_checks", {})
    found.clear()
    looked.clear()
    declare()


def missing(key: str = "D-1", amount: str = "120.00", **more: Any) -> Mismatch:
    return Mismatch(key=key, left=Decimal(amount), right=None, amount=Decimal(amount), currency="EUR", **more)


def run_check() -> Reconciliation:
    """Have the check carried out as a person would, and return the result."""
    row = request_reconciliation(actor=SYSTEM, name=NAME)
    carry_out(row.pk)
    row.refresh_from_db()
    return row


# Declaring ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"name": "Big Books"}, "lower-case"),
        ({"title": " "}, "title"),
        ({"owner": "The Team"}, "owner"),
        ({"right": "Bank"}, "both sources"),
        ({"every": timedelta(seconds=5)}, "too often"),
        ({"every": "every day"}, "five fields"),
        ({"function": lambda day: [], "name": "other"}, "no parameters"),
        ({"function": lambda: [found], "name": NAME}, "this name is taken"),
    ],
)
def test_a_mistake_in_a_declaration_is_told_at_import(how: dict[str, Any], told: str) -> None:
    with pytest.raises(DefinitionError, match=told):
        declare(how.pop("function", compare), **how)


def test_a_mismatch_says_what_it_is() -> None:
    for wrong in (
        {"key": "", "left": "a", "right": "b"},
        {"key": "k", "left": "a", "right": "a"},
        {"key": "k", "left": "a", "right": None, "amount": 1.5},
        {"key": "k", "left": "a", "right": None, "currency": "euro"},
    ):
        with pytest.raises(ValueError, match=r"key|mismatch|amount|currency"):
            Mismatch(**wrong)


@pytest.mark.parametrize(
    ("every", "latest", "following"),
    [
        (timedelta(minutes=15), "2026-11-20T10:15", "2026-11-20T10:30"),
        (Cron("0 6 * * 1-5", "Europe/Berlin"), "2026-11-20T05:00", "2026-11-23T05:00"),
        (Cron("0 0 1 1 *"), "2026-01-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_everybody_agrees_on_the_time_that_is_due(every: Cron | timedelta, latest: str, following: str) -> None:
    moment = datetime(2026, 11, 20, 10, 22, 7, tzinfo=UTC)
    rhythm = Rhythm(every)
    assert rhythm.latest(moment).isoformat() == f"{latest}:00+00:00"
    assert rhythm.following(moment).isoformat() == f"{following}:00+00:00"


# Running ------------------------------------------------------------------------------------------------


def test_a_due_time_is_carried_out_once_however_many_dispatchers_there_are() -> None:
    assert start_due_reconciliations() == 1
    assert start_due_reconciliations() == 0
    (row,) = Reconciliation.objects.all()
    carry_out(row.pk)
    carry_out(row.pk)
    assert looked == [1]
    row.refresh_from_db()
    assert row.status == "agrees"


def test_what_nobody_took_up_is_sent_again() -> None:
    start_due_reconciliations()
    Reconciliation.objects.update(sent_at=now() - timedelta(minutes=2))
    assert start_due_reconciliations() == 1


def test_mismatches_are_listed_from_the_first_time_until_they_are_gone() -> None:
    found[:] = [missing("D-1"), missing("D-2", "80.50")]
    first = run_check()
    assert (first.status, first.mismatches, first.new_mismatches) == ("differs", 2, 2)
    assert first.at_stake == {"EUR": "200.50"}
    seen_first = Discrepancy.objects.get(key="D-2").first_seen_at
    found[:] = [missing("D-2", "81.00", note="The bank corrected it.")]
    second = run_check()
    assert (second.mismatches, second.new_mismatches, second.gone_mismatches) == (1, 0, 1)
    still, gone = Discrepancy.objects.get(key="D-2"), Discrepancy.objects.get(key="D-1")
    assert (still.first_seen_at, still.amount, still.gone_at) == (seen_first, Decimal("81.00"), None)
    assert gone.gone_at is not None


def test_what_comes_back_is_a_new_mismatch() -> None:
    for keys in (["D-1"], [], ["D-1"]):
        found[:] = [missing(key) for key in keys]
        run_check()
    assert Discrepancy.objects.filter(key="D-1").count() == 2
    assert Discrepancy.objects.filter(key="D-1", gone_at=None).count() == 1


def raising(error: BaseException) -> Callable[[], Iterable[Mismatch]]:
    def compare_in_vain() -> Iterable[Mismatch]:
        """Compare in vain."""
        yield missing("D-9")
        raise error

    return compare_in_vain


def names_one_twice() -> Iterable[Mismatch]:
    """Compare badly."""
    return [missing("D-1"), missing("D-1")]


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (raising(CannotSee("The bank does not answer.")), "The bank does not answer."),
        (raising(KeyError("amount")), "The check itself failed: KeyError"),
        (names_one_twice, "named one record twice"),
    ],
)
def test_a_check_that_could_not_look_says_so_and_forgets_nothing(
    function: Callable[[], Iterable[Mismatch]], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found[:] = [missing("D-1")]
    run_check()
    monkeypatch.setattr(definition, "_checks", {})
    declare(function)
    row = run_check()
    assert row.status == "cannot_see"
    assert told in row.problem
    assert [each.key for each in Discrepancy.objects.filter(gone_at=None)] == ["D-1"]
    (view,) = check_list(SYSTEM)
    assert view.state.word == "Cannot see"


def test_a_comparison_whose_worker_died_is_given_up() -> None:
    start_due_reconciliations()
    Reconciliation.objects.update(status="running", started_at=now() - timedelta(hours=1))
    start_due_reconciliations()
    row = Reconciliation.objects.order_by("id").first()
    assert row is not None
    assert (row.status, row.problem) == ("cannot_see", "The worker that compared them was lost.")


def test_a_check_that_did_not_look_when_due_is_never_green() -> None:
    with time_machine.travel(datetime(2026, 11, 20, 10, 15, 30, tzinfo=UTC), tick=False):
        assert run_check().status == "agrees"
        assert check_list(SYSTEM)[0].state.word == "Agrees"
    with time_machine.travel(datetime(2026, 11, 20, 10, 37, tzinfo=UTC), tick=False):
        (view,) = check_list(SYSTEM)
    assert (view.state.word, view.sentence) == ("Cannot see", "It has not compared since it was last due.")


# People -------------------------------------------------------------------------------------------------


def test_one_comparison_at_a_time_is_asked_for_and_it_is_on_record(personas: Personas) -> None:
    request_reconciliation(actor=personas.actor("operator"), name=NAME)
    with pytest.raises(Conflict):
        request_reconciliation(actor=personas.actor("operator"), name=NAME)
    entry = AuditEntry.objects.get(action="diagnostics.reconciliation.request")
    assert entry.object_id == NAME


def test_rights_are_those_on_the_owning_team(personas: Personas) -> None:
    with pytest.raises(Forbidden):
        request_reconciliation(actor=personas.actor("viewer"), name=NAME)
    with pytest.raises(NotFound):
        check_detail(personas.actor("outsider"), NAME)
    assert check_detail(personas.actor("team_operator"), NAME).may_run
    declare(name="foreign", owner="legal")
    assert [view.check.name for view in check_list(personas.actor("team_operator"))] == [NAME]


def test_the_list_costs_few_queries(personas: Personas, django_assert_max_num_queries: Any) -> None:
    for number in range(5):
        declare(name=f"books-{number}")
    run_check()
    client = personas.client("operator")
    with django_assert_max_num_queries(12):
        page = client.get(reverse("reconciliation-list"))
    assert page.status_code == 200


def test_the_page_shows_records_money_and_since_when(personas: Personas) -> None:
    found[:] = [missing("D-1", "1250.00", note="Deposited on Monday")]
    run_check()
    page = personas.client("viewer").get(reverse("reconciliation-detail", args=[NAME])).content.decode()
    for said in (
        "1 record on which Bank and Books differ",
        "D-1",
        "1,250.00",
        "no such record",
        "Deposited on Monday",
    ):
        assert said in page
    assert "Compare now" not in page


def test_a_person_has_it_compared_from_the_page(personas: Personas) -> None:
    client = personas.client("operator")
    answer = client.post(reverse("reconciliation-compare", args=[NAME]))
    assert (answer.status_code, answer["Location"]) == (303, reverse("reconciliation-detail", args=[NAME]))
    assert Reconciliation.objects.get().asked_by == "Operator"


def test_the_api_tells_the_same(personas: Personas, client: Any) -> None:
    found[:] = [missing()]
    run_check()
    headers = {"Authorization": f"Bearer {make_token(personas.viewer)}"}
    detail = client.get(f"/api/v1/reconciliations/{NAME}/", headers=headers).json()
    assert (detail["latest"]["status"], detail["latest"]["at_stake"]) == ("differs", {"EUR": "120.00"})
    assert [(each["key"], each["right"]) for each in detail["mismatches"]] == [("D-1", None)]
    listed = client.get("/api/v1/reconciliations/", headers=headers).json()
    assert [row["check_name"] for row in listed["results"]] == [NAME]
