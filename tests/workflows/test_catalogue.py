"""How workflows are judged, and what the list counts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Q

from portal.core.actor import SYSTEM
from tests.definitions import PARTNER_PAYOUT, SETTLE_INVOICE
from tests.factories import make_heartbeat, make_run, make_team, make_workflow, open_breaker
from tests.personas import Personas
from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.health import Signs, state_of
from workflows.presentation import StateName
from workflows.queries.activity import last_day, last_month
from workflows.queries.catalogue import catalogue
from workflows.queries.concerns import failure_fingerprints, run_groups

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def alive(db: None) -> None:
    make_heartbeat("worker")
    make_heartbeat("dispatcher")


@pytest.mark.parametrize(
    ("signs", "state"),
    [
        (Signs(), StateName.OK),
        (Signs(has_run=False), StateName.WAITING),
        (Signs(is_paused=True, ended_badly=3), StateName.PAUSED),
        (Signs(ended_badly=1, good_last_hour=20, bad_last_hour=1), StateName.DEGRADED),
        (Signs(bad_last_hour=2, good_last_hour=2), StateName.FAILED),
        (Signs(bad_last_hour=2, good_last_hour=3), StateName.OK),
        (Signs(late=1), StateName.DEGRADED),
    ],
)
def test_state_follows_what_is_counted(signs: Signs, state: StateName) -> None:
    assert state_of(signs).name == state


def test_quiet_is_not_green_when_nothing_moves() -> None:
    assert state_of(Signs(), can_see=False).word == "Cannot see"
    assert state_of(Signs(late=1), can_see=False).name == StateName.DEGRADED


@pytest.mark.usefixtures("alive")
def test_catalogue_puts_the_worst_first() -> None:
    make_workflow(SETTLE_INVOICE)
    payout = make_workflow(PARTNER_PAYOUT)
    make_run(payout, status=RunStatus.FAILED, at="send_payout")
    assert [(row.workflow.slug, row.state.name) for row in catalogue(SYSTEM).rows] == [
        ("partner-payout", StateName.DEGRADED),
        ("settle-invoice", StateName.WAITING),
    ]


@pytest.mark.usefixtures("alive")
def test_catalogue_sorts_both_ways() -> None:
    make_run(make_workflow(SETTLE_INVOICE), status=RunStatus.QUEUED)
    make_workflow(PARTNER_PAYOUT)
    slugs = [
        [row.workflow.slug for row in catalogue(SYSTEM, sort=sort).rows] for sort in ("name", "-name", "backlog")
    ]
    assert slugs[0] == ["partner-payout", "settle-invoice"]
    assert slugs[1] == slugs[2] == ["settle-invoice", "partner-payout"]


def test_catalogue_says_that_it_cannot_see_without_a_dispatcher(db: None) -> None:
    make_run(make_workflow())
    make_heartbeat("worker")
    make_heartbeat("dispatcher", age_seconds=300)
    found = catalogue(SYSTEM)
    assert not found.fleet.has_dispatcher
    assert found.rows[0].state.word == "Cannot see"


@pytest.mark.usefixtures("alive")
def test_catalogue_shows_only_what_is_within_reach(personas: Personas) -> None:
    make_workflow(SETTLE_INVOICE)
    make_workflow(PARTNER_PAYOUT, team=make_team("legal"))
    assert len(catalogue(personas.actor("viewer")).rows) == 2
    assert [r.workflow.slug for r in catalogue(personas.actor("team_operator")).rows] == ["settle-invoice"]
    assert catalogue(personas.actor("outsider")).rows == ()


def test_runs_are_grouped_by_cause(db: None) -> None:
    workflow = make_workflow()
    open_breaker()
    for _ in range(3):
        make_run(workflow, status=RunStatus.WAITING)
    for number in (4101, 4102):
        error = {"type": "TransientError", "code": "transient", "message": f"no answer for INV-{number}"}
        make_run(workflow, status=RunStatus.FAILED, error=error)
    make_run(workflow, status=RunStatus.SUCCEEDED)
    groups = {g.status: g for g in run_groups(Q())}
    assert groups[RunStatus.WAITING].runs == 3
    assert groups[RunStatus.WAITING].waits_on == "payments-gateway"
    assert groups[RunStatus.WAITING].amount == 3750
    assert groups[RunStatus.FAILED].runs == 2
    assert groups[RunStatus.FAILED].message == "no answer for INV-4102"
    assert set(groups) == {RunStatus.WAITING, RunStatus.FAILED}


def test_retries_that_wait_are_one_group_whatever_their_words(db: None) -> None:
    for on in ("try 2 of 5", "try 3 of 5"):
        make_run(status=RunStatus.WAITING, waiting_reason=WaitingReason.RETRY, waiting_on=on)
    assert [g.runs for g in run_groups(Q())] == [2]


def test_groups_count_late_unattended_and_undecided_runs(db: None) -> None:
    make_run(status=RunStatus.RUNNING, ago=2 * HOUR)
    make_run(status=RunStatus.QUEUED, ago=HOUR / 12, dispatched_at=None)
    make_run(status=RunStatus.FAILED, step_status=StepStatus.UNCERTAIN)
    groups = {g.status: g for g in run_groups(Q())}
    assert groups[RunStatus.RUNNING].late == 1
    assert groups[RunStatus.QUEUED].unattended == 1
    assert groups[RunStatus.FAILED].is_undecided


def test_old_failures_do_not_count_as_recent(db: None) -> None:
    make_run(status=RunStatus.FAILED, ago=3 * DAY)
    make_run(status=RunStatus.FAILED, ago=9 * DAY)
    assert [(g.runs, g.recent) for g in run_groups(Q())] == [(1, 0)]


def test_fingerprints_count_tries_that_a_retry_got_over(db: None) -> None:
    run = make_run(status=RunStatus.FAILED)
    make_run(run.workflow, status=RunStatus.FAILED)
    found = failure_fingerprints(Q())
    assert [(f.slug, f.step, f.error_type, f.runs, f.tries) for f in found] == [
        ("settle-invoice", "charge", "TransientError", 2, 2)
    ]


def test_day_is_told_hour_by_hour(db: None) -> None:
    run = make_run(ago=30 * HOUR)
    for _ in range(3):
        make_run(run.workflow, ago=5 * HOUR)
    make_run(run.workflow, status=RunStatus.FAILED, ago=5 * HOUR)
    day = last_day(Q())[run.workflow_id]
    assert (day.good, day.bad, day.success) == (3, 1, 0.75)
    assert len(day.hours) == 25
    assert [c.state for c in day.cells if c.state != "none"] == ["degraded"]
    assert day.summary == "4 runs ended in the last 24 hours, 1 badly, in 1 hour."


def test_usual_is_the_median_of_days_and_needs_three(db: None) -> None:
    run = make_run(ago=2 * HOUR, took=timedelta(seconds=90))
    assert last_month(Q())[run.workflow_id].usual_p95 is None
    for days, seconds in ((2, 10), (3, 20), (4, 30)):
        make_run(run.workflow, ago=days * DAY, took=timedelta(seconds=seconds))
    make_run(run.workflow, status=RunStatus.FAILED, ago=3 * DAY)
    month = last_month(Q())[run.workflow_id]
    assert month.usual_p95 == timedelta(seconds=20)
    assert month.usual_success == 1
    assert month.latest.p95 == timedelta(seconds=90)
    assert month.last_bad_at is not None
