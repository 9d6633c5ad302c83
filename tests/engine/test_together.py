"""Short DATABASE steps share one transaction. Each is still done exactly once, whatever happens to the others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.core.actor import SYSTEM
from portal.core.models import Team
from tests.engine.drive import advance_once, die_in, drive, started, steps_of
from tests.engine.flows import FAST, OBJECTIVE, Note, Order, act, behaviour, calls
from workflows import Effect, StepContext, TransientError, Workflow
from workflows.engine import store, together
from workflows.engine.runner import advance
from workflows.models import Run, RunEvent, StepRun
from workflows.services import pause_run

pytestmark = pytest.mark.django_db(transaction=True)

posting_flow = Workflow(
    "test-posting", version=1, owner="test-team", input=Order, objective=OBJECTIVE, runbook="test"
)


def post(name: str, ctx: StepContext) -> Note:
    """Leave a row behind: it must be there exactly once if the step is done, and not at all if it is not."""
    note = act(name, ctx, Note(text=name))
    Team.objects.create(slug=f"{name}-{ctx.run_id.hex[-12:]}", name=name)
    return note


@posting_flow.step(effect=Effect.DATABASE, retry=FAST)
def debit(order: Order, ctx: StepContext) -> Note:
    """Take it from one account."""
    return post("debit", ctx)


@posting_flow.step(effect=Effect.PURE)
def rate(debit: Note, ctx: StepContext) -> Note:
    """Work something out."""
    return act("rate", ctx, Note(text="1.0"))


@posting_flow.step(effect=Effect.DATABASE, retry=FAST)
def credit(rate: Note, ctx: StepContext) -> Note:
    """Put it into the other."""
    return post("credit", ctx)


@posting_flow.step(effect=Effect.DATABASE, retry=FAST)
def journal(credit: Note, ctx: StepContext) -> Note:
    """Write it down."""
    return post("journal", ctx)


@posting_flow.step(effect=Effect.EXTERNAL, retry=FAST)
def report(journal: Note, ctx: StepContext) -> Note:
    """Tell somebody."""
    return act("report", ctx, Note(text="reported"))


STEPS = ["debit", "rate", "credit", "journal", "report"]


@pytest.fixture(autouse=True)
def _short_steps() -> Iterator[None]:
    """All steps were short the last time."""
    for step in posting_flow.steps.values():
        together.note_pace(step, 0.0)
    yield
    for step in posting_flow.steps.values():
        together.note_pace(step, 0.0)


def posted(run: Run) -> list[str]:
    """Return the names of the rows that the run has left behind."""
    return sorted(Team.objects.filter(slug__endswith=run.pk.hex[-12:]).values_list("name", flat=True))


def called() -> list[str]:
    return [name for name, _, _ in calls]


def transactions(run: Run) -> dict[str, int]:
    """Return for each step the transaction in which its checkpoint was written."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT step, xmin::text::bigint FROM workflows_steprun WHERE run_id = %s", [run.pk])
        return dict(cursor.fetchall())


def test_short_steps_commit_together_and_before_a_call() -> None:
    run = drive(started(posting_flow))
    assert (run.status, called()) == ("succeeded", STEPS)
    assert posted(run) == ["credit", "debit", "journal"]
    written = transactions(run)
    assert len({written[step] for step in ("debit", "rate", "credit", "journal")}) == 1
    assert written["report"] != written["journal"]


def test_when_the_third_body_fails_the_first_two_commit_and_only_the_third_has_failed() -> None:
    run = started(posting_flow)

    def fail(ctx: StepContext) -> Note:
        raise TransientError("The journal is closed for a moment.")

    behaviour["journal"] = fail
    run = advance_once(run)
    assert run.status == "waiting"
    assert posted(run) == ["credit", "debit"]
    assert steps_of(run) == {"debit": "succeeded", "rate": "succeeded", "credit": "succeeded", "journal": "waiting"}
    assert StepRun.objects.get(run=run, step="journal").attempts == 1
    assert called() == ["debit", "rate", "credit", "journal", "debit", "rate", "credit", "journal"]
    behaviour.clear()
    run = drive(run)
    assert run.status == "succeeded"
    assert posted(run) == ["credit", "debit", "journal"]
    assert called()[8:] == ["journal", "report"]


def test_a_worker_that_dies_in_the_third_body_has_done_none_of_them() -> None:
    class Dead(BaseException):
        pass

    def die(ctx: StepContext) -> Note:
        raise Dead

    run = started(posting_flow)
    behaviour["journal"] = die
    with pytest.raises(Dead):
        advance(run.pk)
    behaviour.clear()
    assert (posted(run), steps_of(run)) == ([], {})
    die_in(run)
    store.reclaim(10, [])
    run = drive(run)
    assert posted(run) == ["credit", "debit", "journal"]
    assert len({*transactions(run).values()}) == 4, "after a crash each step has a commit of its own"


def test_a_worker_that_was_presumed_dead_takes_all_of_them_back() -> None:
    run = started(posting_flow)

    def be_taken_for_dead(ctx: StepContext) -> Note:
        Run.objects.filter(pk=run.pk).update(fence=99)
        return Note(text="too late")

    behaviour["journal"] = be_taken_for_dead
    run = advance_once(run)
    assert (posted(run), steps_of(run)) == ([], {})


def test_a_pause_that_was_asked_for_meanwhile_is_obeyed_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "OPEN_SECONDS", 60.0)
    run = started(posting_flow)

    def be_paused(ctx: StepContext) -> Note:
        with ThreadPoolExecutor(1) as person:
            person.submit(_ask_to_pause, run.pk).result()
        return Note(text="rate")

    behaviour["rate"] = be_paused
    run = advance_once(run)
    assert run.status == "paused"
    assert posted(run) == ["credit", "debit", "journal"]
    assert "report" not in called()


def test_a_step_that_is_not_known_to_be_short_has_a_commit_of_its_own() -> None:
    together.note_pace(posting_flow.steps["credit"], 1.0)
    written = transactions(drive(started(posting_flow)))
    assert written["debit"] == written["rate"] != written["credit"]
    assert written["credit"] == written["journal"], "others may join it: it did not last this time"


def test_nobody_joins_a_transaction_that_has_been_open_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "OPEN_SECONDS", 0.0)
    written = transactions(drive(started(posting_flow)))
    assert len({written[step] for step in ("debit", "credit", "journal")}) == 3


def test_each_step_has_its_line_in_the_history() -> None:
    run = drive(started(posting_flow))
    lines = RunEvent.objects.filter(run=run).order_by("number").values_list("number", "kind", "step")
    assert list(lines) == [
        (1, "run.accepted", ""),
        *((number, "step.succeeded", step) for number, step in enumerate(STEPS, 2)),
        (7, "run.succeeded", ""),
    ]


def test_no_savepoint_is_made() -> None:
    run = started(posting_flow)
    with CaptureQueriesContext(connection) as queries:
        advance(run.pk)
    assert not [query["sql"] for query in queries if "SAVEPOINT" in query["sql"]]


def _ask_to_pause(run_id: UUID) -> None:
    """Do what a person does, on a connection of its own."""
    try:
        pause_run(actor=SYSTEM, run_id=run_id, reason="Somebody wants to look")
    finally:
        connection.close()
