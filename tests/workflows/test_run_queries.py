from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.http import QueryDict
from django.test import RequestFactory

from portal.core.clock import now
from portal.core.ids import uuid7
from portal.core.models import User
from tests.definitions import PARTNER_PAYOUT
from tests.factories import make_run, make_workflow
from tests.personas import Personas
from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.filters import RunFilter
from workflows.models import Run
from workflows.queries.runs import run_list, run_rows, visible_runs

pytestmark = pytest.mark.django_db


def found(query: str, user: User | None = None) -> list[Run]:
    request = RequestFactory().get("/runs/")
    request.user = user or User(is_superuser=True)
    runs = RunFilter(QueryDict(query), queryset=Run.objects.all(), request=request)
    assert runs.form.is_valid(), runs.form.errors
    return list(runs.qs)


def test_running_shows_what_is_queued_in_hand_or_being_undone() -> None:
    runs = [make_run(status=s) for s in (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.ROLLING_BACK)]
    make_run(status=RunStatus.SUCCEEDED)
    assert set(found("view=running")) == set(runs)


def test_stuck_is_late_or_without_a_worker() -> None:
    ago = timedelta(minutes=2)
    make_run(status=RunStatus.RUNNING, ago=ago)
    make_run(status=RunStatus.PAUSED, ago=timedelta(hours=3))
    late = make_run(status=RunStatus.WAITING, ago=timedelta(hours=3))
    unsent = make_run(status=RunStatus.QUEUED, ago=ago)
    abandoned = make_run(status=RunStatus.RUNNING, lease_expires_at=now() - timedelta(minutes=2), ago=ago)
    assert set(found("view=stuck")) == {late, unsent, abandoned}


def test_failed_today_goes_by_the_time_of_the_failure() -> None:
    begun_days_ago = make_run(status=RunStatus.FAILED, ago=timedelta(days=3), took=timedelta(days=3))
    make_run(status=RunStatus.FAILED, ago=timedelta(days=3))
    assert found("view=failed-today") == [begun_days_ago]


def test_waiting_for_a_person_needs_a_decision() -> None:
    make_run(status=RunStatus.WAITING)
    make_run(status=RunStatus.FAILED)
    paused = make_run(status=RunStatus.PAUSED)
    uncertain = make_run(status=RunStatus.FAILED, step_status=StepStatus.UNCERTAIN)
    approval = make_run(status=RunStatus.WAITING, waiting_reason=WaitingReason.APPROVAL)
    assert set(found("view=person")) == {paused, uncertain, approval}


def test_mine_is_what_i_started(personas: Personas) -> None:
    mine = make_run(started_by=personas.actor("operator").label)
    make_run(started_by="somebody else")
    assert found("view=mine", user=personas.operator) == [mine]


@pytest.mark.parametrize("named_by", ["id", "idempotency_key", "customer_key", "correlation_id"])
def test_search_finds_a_run_by_whatever_names_it(named_by: str) -> None:
    wanted = make_run(idempotency_key="invoice-77", customer_key="client-special", correlation_id="abc-77")
    make_run()
    assert found(f"q=+{getattr(wanted, named_by)}+") == [wanted]


def test_filters_narrow_together() -> None:
    payouts = make_workflow(PARTNER_PAYOUT)
    wanted = make_run(payouts, status=RunStatus.FAILED, at="send_payout", amount=Decimal("50.00"))
    make_run(payouts, status=RunStatus.FAILED, at="send_payout", amount=Decimal("5000.00"))
    make_run(payouts, status=RunStatus.FAILED, at="book_payout")
    make_run(make_workflow(), status=RunStatus.FAILED, amount=Decimal("50.00"))
    query = "state=failed&state=waiting&workflow=partner-payout&step=send_payout&amount_min=10&amount_max=100"
    assert found(query) == [wanted]


def test_a_dependency_finds_the_runs_that_wait_for_it() -> None:
    wanted = make_run(status=RunStatus.WAITING, waiting_on="payments-gateway")
    make_run(status=RunStatus.WAITING, waiting_on="mail")
    assert found("dependency=payments-gateway") == [wanted]


def test_times_mean_the_end_of_what_ended_and_the_start_of_the_rest() -> None:
    moment = f"{now() - timedelta(hours=1):%Y-%m-%dT%H:%M}"
    ended_later = make_run(ago=timedelta(hours=3), took=timedelta(hours=2, minutes=30))
    ended_before = make_run(ago=timedelta(hours=3))
    begun_before = make_run(status=RunStatus.RUNNING, ago=timedelta(hours=2))
    assert found(f"since={moment}") == [ended_later]
    assert set(found(f"until={moment}")) == {ended_before, begun_before}


def test_only_runs_within_reach_are_visible(personas: Personas) -> None:
    own = make_run(make_workflow(team=personas.team))
    make_run(make_workflow(PARTNER_PAYOUT | {"owner": "others"}))
    assert list(visible_runs(personas.actor("team_operator"))) == [own]
    assert visible_runs(personas.actor("viewer")).count() == 2
    assert not visible_runs(personas.actor("outsider")).exists()


def test_pages_go_older_and_newer_without_gaps() -> None:
    workflow = make_workflow()
    _many(workflow, 120)
    first = run_list(Run.objects.all())
    second = run_list(Run.objects.all(), before=first.older)
    third = run_list(Run.objects.all(), before=second.older)
    assert [len(page.rows) for page in (first, second, third)] == [50, 50, 20]
    assert (first.newer, third.older) == ("", "")
    back = run_list(Run.objects.all(), after=second.newer)
    assert [row.run.pk for row in back.rows] == [row.run.pk for row in first.rows]
    assert str(first.total) == "120"


def test_newer_runs_are_counted_and_not_pushed_in() -> None:
    workflow = make_workflow()
    seen = make_run(workflow)
    _many(workflow, 3)
    page = run_list(Run.objects.all(), pinned=str(seen.pk))
    assert [row.run for row in page.rows] == [seen]
    assert page.fresh.number == 3


def test_a_duration_is_compared_with_the_workflows_latest_successes() -> None:
    workflow = make_workflow()
    for seconds in range(1, 102):
        make_run(workflow, took=timedelta(seconds=seconds), ago=timedelta(hours=1))
    slow = make_run(workflow, took=timedelta(seconds=96), status=RunStatus.FAILED)
    [row] = run_rows([slow])
    assert row.usual is not None
    assert (row.usual.median, row.usual.p95) == (timedelta(seconds=51), timedelta(seconds=96))
    assert (row.share, row.is_slow, row.is_late) == (50.0, False, False)


def _many(workflow: Any, count: int) -> None:
    moment = now()
    Run.objects.bulk_create(
        Run(
            id=uuid7(),
            workflow=workflow,
            version=1,
            status=RunStatus.QUEUED,
            input={},
            correlation_id="c",
            created_at=moment,
        )
        for _ in range(count)
    )
