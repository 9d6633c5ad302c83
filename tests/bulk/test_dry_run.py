"""The dry run counts exactly what the operation then touches, and touches nothing itself."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from pytest_django import DjangoAssertNumQueries

from portal.core.errors import Forbidden, InvalidInput, NotFound
from portal.core.models import AuditEntry
from tests.bulk.help import begin, failed_runs, select
from tests.definitions import PARTNER_PAYOUT
from tests.engine import drive, flows
from tests.engine.flows import Note, blind_flow, order_flow
from tests.factories import make_run, make_team, make_workflow
from tests.personas import Personas
from workflows.bulk.preview import dry_run
from workflows.engine.state import RunStatus, StepStatus
from workflows.errors import OutcomeUnknown
from workflows.models import BulkOperation, RunEvent, StepRun

pytestmark = pytest.mark.django_db


def vanish(ctx: object) -> Note:
    raise OutcomeUnknown("No answer came")


def test_it_counts_what_matches_what_is_touched_and_why_not_the_rest(personas: Personas) -> None:
    failed = failed_runs(3)
    drive.drive(drive.started(order_flow))
    flows.behaviour["shoot"] = vanish
    drive.drive(drive.started(blind_flow))
    found = dry_run(personas.actor("operator"), select("resume", ""))
    assert (found.matching, found.count) == (5, 3)
    assert [id for id, _ in found.affected] == [run.pk for run in failed]
    assert found.states == {"Failed": 3}
    assert sum(found.left_out.values()) == 2
    assert {words.split(":")[0].split("; ")[-1] for words in found.left_out} == {
        "The run is succeeded",
        'First decide whether "shoot" happened',
    }


def test_it_names_what_would_happen_again_and_what_cannot_be_undone(personas: Personas) -> None:
    workflow = make_workflow(PARTNER_PAYOUT)
    for _ in range(3):
        make_run(workflow, status=RunStatus.FAILED, at="send_payout", ago=timedelta(hours=1))
    make_run(workflow, status=RunStatus.PAUSED, at="reserve_funds", step_status=StepStatus.PENDING, is_demo=True)
    facts = dry_run(personas.actor("operator"), select("resume", "state=failed&state=paused")).facts()
    assert facts["does"] == [
        {"words": "Goes on at “Send the payout”", "count": 3},
        {"words": "Goes on at “Reserve funds”", "count": 1},
    ]
    assert facts["repeats"] == [
        {"words": "“Send the payout” is sent to banking again, and banking cannot tell the repeat", "count": 3}
    ]
    assert facts["irreversible"] == [{"words": "“Notify partner” cannot be undone once it is done", "count": 4}]


def test_it_adds_the_money_up_by_currency(personas: Personas) -> None:
    workflow = make_workflow()
    for amount, currency in (("10.00", "EUR"), ("0.50", "EUR"), ("7.00", "GBP")):
        make_run(workflow, status=RunStatus.FAILED, amount=Decimal(amount), currency=currency)
    make_run(workflow, status=RunStatus.SUCCEEDED, amount=Decimal(1000))
    facts = dry_run(personas.actor("operator"), select("resume", "")).facts()
    assert facts["money"] == [{"currency": "EUR", "amount": "10.50"}, {"currency": "GBP", "amount": "7.00"}]


def test_a_rollback_names_what_stays(personas: Personas) -> None:
    drive.drive(drive.started(order_flow))
    facts = dry_run(personas.actor("operator"), select("rollback", "state=succeeded")).facts()
    assert "“Tell” stays: Its effect stays: there is no way to undo it." in [
        line["words"] for line in facts["irreversible"]
    ]
    assert {line["words"] for line in facts["does"]} == {f"“{name}” is undone" for name in ("Book", "Pay", "Reserve")}


def test_it_touches_nothing(personas: Personas) -> None:
    failed_runs(2)
    before = (RunEvent.objects.count(), AuditEntry.objects.count())
    for command in ("resume", "pause", "cancel", "rollback"):
        dry_run(personas.actor("operator"), select(command, ""))
    assert (RunEvent.objects.count(), AuditEntry.objects.count(), BulkOperation.objects.count()) == (*before, 0)


def test_only_the_chosen_rows_of_the_list_count(personas: Personas) -> None:
    runs = failed_runs(3)
    gone = drive.drive(drive.started(order_flow))
    found = dry_run(personas.actor("operator"), select("resume", "state=failed", runs[1].pk, gone.pk))
    assert [id for id, _ in found.affected] == [runs[1].pk]
    assert found.missing == 1


def test_what_another_operation_will_touch_is_left_out(personas: Personas) -> None:
    failed_runs(2)
    begin(personas.actor("operator"))
    found = dry_run(personas.actor("operator"), select("cancel", "state=failed"))
    assert found.count == 0
    assert found.left_out == {"Another bulk operation is going to touch it": 2}


def test_runs_without_the_right_are_left_out_and_foreign_ones_not_seen(personas: Personas) -> None:
    own = make_run(make_workflow(team=personas.team), status=RunStatus.FAILED)
    make_run(make_workflow(slug="conveyancing", team=make_team("legal")), status=RunStatus.FAILED)
    found = dry_run(personas.actor("team_operator"), select())
    assert (found.matching, [id for id, _ in found.affected]) == (1, [own.pk])


@pytest.mark.parametrize("filter", ["stat=failed", "state=fialed", "amount_min=much"])
def test_a_mistyped_filter_selects_nothing(personas: Personas, filter: str) -> None:
    failed_runs(1)
    with pytest.raises(InvalidInput):
        dry_run(personas.actor("operator"), select("resume", filter))


def test_place_and_look_of_the_list_are_no_filter(personas: Personas) -> None:
    failed_runs(1)
    assert dry_run(personas.actor("operator"), select("resume", "state=failed&columns=amount&upto=1&q=")).count == 1


def test_the_rights_are_asked_first(personas: Personas) -> None:
    for name in ("viewer", "support", "manager"):
        with pytest.raises(Forbidden):
            dry_run(personas.actor(name), select())
    with pytest.raises(NotFound):
        dry_run(personas.actor("admin"), select("explode"))


def test_the_number_of_queries_does_not_grow_with_the_runs(
    personas: Personas, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    workflow = make_workflow()
    for _ in range(30):
        make_run(workflow, status=RunStatus.FAILED)
    with django_assert_max_num_queries(8):
        assert dry_run(personas.actor("operator"), select()).count == 30


def test_of_a_degraded_run_the_items_that_failed_are_done_again(personas: Personas) -> None:
    summary = {"total": 3, "failed": 1, "missing": ["b"], "worth": {}, "done": 2}
    run = make_run(make_workflow(), status=RunStatus.DEGRADED)
    StepRun.objects.filter(run=run, step="charge").update(output=summary)
    make_run(run.workflow, status=RunStatus.DEGRADED)
    found = dry_run(personas.actor("operator"), select("resume", "state=degraded"))
    assert found.does == {
        "Does the items of “Charge the client” that failed, and again what follows from them": 1,
    }
    assert sum(found.left_out.values()) == 1
