"""What people do to runs: each command from the service, as page and API use it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from portal.core.actor import SYSTEM, Actor, person
from portal.core.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidTransition,
    NotFound,
    StaleVersion,
)
from portal.core.models import AuditEntry
from tests.engine import flows
from tests.engine.drive import advance_once, drive, started, steps_of
from tests.personas import Personas
from workflows import DependencyUnavailable, InvalidData, OutcomeUnknown, PermanentError, TransientError
from workflows.models import Attempt, Run, RunEvent, StepRun
from workflows.services import (
    available_commands,
    cancel_run,
    decide_step,
    pause_run,
    pause_workflow,
    preview_rollback,
    resume_run,
    resume_workflow,
    retry_from_step,
    roll_back_run,
    skip_step,
    start_run,
)

pytestmark = pytest.mark.django_db
WHY = "The gateway is up again"


@pytest.fixture(autouse=True)
def _clean_slate() -> None:
    flows.behaviour.clear()
    flows.calls.clear()


@pytest.fixture
def operator(personas: Personas) -> Actor:
    return person(personas.operator)


def raising(error: Exception) -> Any:
    def behave(ctx: object) -> None:
        raise error

    return behave


def failed_at(step: str, error: Exception | None = None) -> Run:
    flows.behaviour[step] = raising(error or InvalidData("Wrong."))
    run = drive(started(flows.order_flow))
    flows.behaviour.clear()
    flows.calls.clear()
    return run


def called() -> list[str]:
    return [name for name, _, _ in flows.calls]


# Start -------------------------------------------------------------------------------------------------


def test_the_same_key_returns_the_first_run() -> None:
    first = start_run(actor=SYSTEM, workflow="test-order", input={"number": "A-7"}, idempotency_key="k")
    second = start_run(actor=SYSTEM, workflow="test-order", input={"number": "A-7"}, idempotency_key="k")
    assert (first.created, second.created) == (True, False)
    assert first.run.pk == second.run.pk
    assert Run.objects.count() == 1


def test_a_key_used_for_another_input_is_refused() -> None:
    start_run(actor=SYSTEM, workflow="test-order", input={"number": "A-7"}, idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        start_run(actor=SYSTEM, workflow="test-order", input={"number": "B-8"}, idempotency_key="k")


def test_a_run_exists_only_if_the_callers_transaction_commits() -> None:
    with transaction.atomic():
        start_run(actor=SYSTEM, workflow="test-order", input={})
        transaction.set_rollback(True)
    assert Run.objects.count() == 0


def test_a_bad_input_names_the_field() -> None:
    with pytest.raises(InvalidInput) as caught:
        start_run(actor=SYSTEM, workflow="test-order", input={"amount": "a lot"})
    assert list(caught.value.fields) == ["amount"]


def test_starting_needs_the_right(personas: Personas) -> None:
    started(flows.order_flow)
    with pytest.raises(Forbidden):
        start_run(actor=person(personas.viewer), workflow="test-order", input={})
    with pytest.raises(NotFound):
        start_run(actor=person(personas.outsider), workflow="test-order", input={})
    with pytest.raises(NotFound):
        start_run(actor=SYSTEM, workflow="no-such-workflow", input={})


def test_a_held_workflow_accepts_runs_and_lets_them_go_later(operator: Actor) -> None:
    started(flows.order_flow)
    pause_workflow(actor=operator, slug="test-order", reason="Month-end closing")
    run = started(flows.order_flow)
    assert run.status == "scheduled"
    assert advance_once(run).status == "scheduled"
    resume_workflow(actor=operator, slug="test-order", reason="Closing is done")
    run.refresh_from_db()
    assert drive(run).status == "succeeded"


# Resume ------------------------------------------------------------------------------------------------


def test_resuming_repeats_the_failed_step_and_no_other(operator: Actor) -> None:
    run = failed_at("book")
    resume_run(actor=operator, run_id=run.pk, reason=WHY)
    run = drive(run)
    assert run.status == "succeeded"
    assert called() == ["book", "tell"]
    assert run.error is None


def test_resuming_gives_a_step_all_its_tries_again(operator: Actor) -> None:
    run = failed_at("reserve", TransientError("Not now."))
    assert StepRun.objects.get(run=run, step="reserve").attempts == 3
    resume_run(actor=operator, run_id=run.pk, reason=WHY)
    flows.behaviour["reserve"] = raising(TransientError("Still not."))
    run.refresh_from_db()
    assert drive(run).status == "failed"
    assert Attempt.objects.filter(run=run).count() == 6


def test_resuming_a_waiting_run_does_not_wait_any_longer(operator: Actor) -> None:
    flows.behaviour["reserve"] = raising(DependencyUnavailable("Down."))
    run = advance_once(started(flows.order_flow))
    flows.behaviour.clear()
    resume_run(actor=operator, run_id=run.pk, reason=WHY)
    assert advance_once(run).status == "succeeded"


def test_the_audit_trail_and_the_history_say_who_and_why(operator: Actor) -> None:
    run = failed_at("book")
    resume_run(actor=operator, run_id=run.pk, reason=WHY)
    entry = AuditEntry.objects.get(action="workflows.run.resume")
    assert (entry.object_id, entry.reason, entry.actor_label) == (str(run.pk), WHY, operator.label)
    assert entry.before is not None
    assert entry.after is not None
    assert (entry.before["status"], entry.after["status"]) == ("failed", "queued")
    event = RunEvent.objects.get(run=run, kind="run.resumed")
    assert event.data == {"actor": operator.label, "reason": WHY}


def test_a_finished_run_has_nothing_to_resume(operator: Actor) -> None:
    run = drive(started(flows.order_flow))
    with pytest.raises(InvalidTransition):
        resume_run(actor=operator, run_id=run.pk, reason=WHY)


def test_a_command_that_comes_too_late_is_told_what_changed(operator: Actor) -> None:
    run = failed_at("book")
    seen = run.event_count
    resume_run(actor=operator, run_id=run.pk, reason=WHY, expected_version=seen)
    with pytest.raises(StaleVersion, match=r"run\.resumed"):
        resume_run(actor=operator, run_id=run.pk, reason=WHY, expected_version=seen)


def test_a_command_needs_the_right_and_a_reason(personas: Personas) -> None:
    run = failed_at("book")
    with pytest.raises(Forbidden):
        resume_run(actor=person(personas.viewer), run_id=run.pk, reason=WHY)
    with pytest.raises(NotFound):
        resume_run(actor=person(personas.outsider), run_id=run.pk, reason=WHY)
    with pytest.raises(InvalidInput):
        resume_run(actor=person(personas.operator), run_id=run.pk, reason="short")
    assert not AuditEntry.objects.filter(action="workflows.run.resume").exists()


# Retry from a step -------------------------------------------------------------------------------------


def test_retrying_from_a_step_repeats_what_follows_from_it(operator: Actor) -> None:
    run = drive(started(flows.blind_flow))
    flows.calls.clear()
    retry_from_step(actor=operator, run_id=run.pk, step="ask", reason=WHY)
    run.refresh_from_db()
    assert drive(run).status == "succeeded"
    assert called() == ["ask"]
    assert Attempt.objects.get(run=run).outcome == "superseded"


@pytest.mark.parametrize("step", ["reserve", "pay", "book"])
def test_what_is_committed_is_not_run_twice(operator: Actor, step: str) -> None:
    run = drive(started(flows.order_flow))
    with pytest.raises(InvalidTransition, match="Roll back first"):
        retry_from_step(actor=operator, run_id=run.pk, step=step, reason=WHY)


# Skip and decide ---------------------------------------------------------------------------------------


def test_a_skipped_step_gives_the_output_that_later_steps_need(operator: Actor) -> None:
    run = failed_at("reserve")
    with pytest.raises(InvalidInput) as caught:
        skip_step(actor=operator, run_id=run.pk, step="reserve", reason=WHY)
    assert "output" in caught.value.fields
    skip_step(actor=operator, run_id=run.pk, step="reserve", reason=WHY, output={"text": "by hand"})
    run.refresh_from_db()
    assert drive(run).status == "succeeded"
    assert "reserve" not in called()
    assert steps_of(run)["reserve"] == "skipped"


def test_only_the_step_at_which_the_run_stands_is_skipped(operator: Actor) -> None:
    run = failed_at("reserve")
    with pytest.raises(InvalidTransition, match='stands at "reserve"'):
        skip_step(actor=operator, run_id=run.pk, step="book", reason=WHY, output={"text": "x"})


@pytest.mark.parametrize(("happened", "shots"), [(True, 0), (False, 1)])
def test_a_person_decides_an_uncertain_step(operator: Actor, happened: bool, shots: int) -> None:
    flows.behaviour["shoot"] = raising(OutcomeUnknown("Half an answer."))
    run = drive(started(flows.blind_flow))
    flows.behaviour.clear()
    flows.calls.clear()
    with pytest.raises(InvalidTransition, match="First decide"):
        resume_run(actor=operator, run_id=run.pk, reason=WHY)
    output = {"text": "seen"} if happened else None
    decide_step(actor=operator, run_id=run.pk, step="shoot", happened=happened, output=output, reason=WHY)
    run.refresh_from_db()
    assert drive(run).status == "succeeded"
    assert called().count("shoot") == shots


def test_deciding_that_it_happened_needs_its_output(operator: Actor) -> None:
    flows.behaviour["shoot"] = raising(OutcomeUnknown("Half an answer."))
    run = drive(started(flows.blind_flow))
    with pytest.raises(InvalidInput):
        decide_step(actor=operator, run_id=run.pk, step="shoot", happened=True, reason=WHY)


# Pause and cancel --------------------------------------------------------------------------------------


def test_a_paused_run_stands_still_until_it_is_resumed(operator: Actor) -> None:
    run = started(flows.order_flow)
    pause_run(actor=operator, run_id=run.pk, reason=WHY)
    assert advance_once(run).status == "paused"
    assert called() == []
    resume_run(actor=operator, run_id=run.pk, reason=WHY)
    run.refresh_from_db()
    assert drive(run).status == "succeeded"


@pytest.mark.parametrize(("command", "status"), [(pause_run, "paused"), (cancel_run, "cancelled")])
def test_a_run_that_a_worker_holds_stops_at_its_next_checkpoint(operator: Actor, command: Any, status: str) -> None:
    run = started(flows.order_flow)

    def asked_meanwhile(ctx: object) -> flows.Note:
        command(actor=operator, run_id=run.pk, reason=WHY)
        return flows.Note(text="reserved")

    flows.behaviour["reserve"] = asked_meanwhile
    run = advance_once(run)
    assert (run.status, run.request) == (status, "")
    assert called() == ["prepare", "reserve"]
    assert steps_of(run)["reserve"] == "succeeded"


def test_a_request_reaches_a_run_that_has_begun_to_wait(operator: Actor) -> None:
    run = started(flows.order_flow)

    def asked_meanwhile(ctx: object) -> None:
        pause_run(actor=operator, run_id=run.pk, reason=WHY)
        raise TransientError("Not now.")

    flows.behaviour["reserve"] = asked_meanwhile
    run = drive(run)
    assert run.status == "paused"
    assert called().count("reserve") == 1


@pytest.mark.parametrize("command", [pause_run, cancel_run])
def test_a_rollback_is_not_stopped_half_way(operator: Actor, command: Any) -> None:
    run = drive(started(flows.order_flow))
    roll_back_run(actor=operator, run_id=run.pk, reason=WHY)
    with pytest.raises(InvalidTransition, match="half-way"):
        command(actor=operator, run_id=run.pk, reason=WHY)


def test_deciding_a_step_of_a_cancelled_run_does_not_start_it_again(operator: Actor) -> None:
    flows.behaviour["shoot"] = raising(OutcomeUnknown("Half an answer."))
    run = drive(started(flows.blind_flow))
    cancel_run(actor=operator, run_id=run.pk, reason=WHY)
    decide_step(actor=operator, run_id=run.pk, step="shoot", happened=True, output={"text": "seen"}, reason=WHY)
    run.refresh_from_db()
    assert (run.status, steps_of(run)["shoot"]) == ("cancelled", "succeeded")


# Rollback ----------------------------------------------------------------------------------------------


def test_a_rollback_undoes_the_last_step_first(operator: Actor) -> None:
    run = drive(started(flows.order_flow))
    flows.calls.clear()
    preview = preview_rollback(actor=operator, run_id=run.pk)
    assert [line.step for line in preview.undone] == ["book", "pay", "reserve"]
    assert [line.step for line in preview.not_undone] == ["tell"]
    roll_back_run(actor=operator, run_id=run.pk, reason=WHY)
    run = drive(run)
    assert run.status == "rolled_back"
    assert called() == ["unbook", "pay_back", "release_goods"]
    assert steps_of(run)["pay"] == "compensated"


def test_a_rollback_to_a_step_keeps_it_and_what_came_before(operator: Actor) -> None:
    run = drive(started(flows.order_flow))
    flows.calls.clear()
    preview = preview_rollback(actor=operator, run_id=run.pk, to_step="pay")
    assert [line.step for line in preview.undone] == ["book"]
    roll_back_run(actor=operator, run_id=run.pk, reason=WHY, to_step="pay")
    run = drive(run)
    assert (run.status, called()) == ("paused", ["unbook"])
    resume_run(actor=operator, run_id=run.pk, reason=WHY)
    run.refresh_from_db()
    assert drive(run).status == "succeeded"
    booked = [key for name, key, _ in flows.calls if name == "book"]
    assert booked == [f"{run.pk}:book:1"], "what was undone is done again under a new operation key"


def test_a_failed_call_is_looked_up_before_it_is_undone(operator: Actor) -> None:
    run = failed_at("pay", TransientError("Refused."))
    flows.behaviour["find_payment"] = lambda ctx: flows.Note(text="it did happen")
    roll_back_run(actor=operator, run_id=run.pk, reason=WHY)
    assert drive(run).status == "rolled_back"
    assert called() == ["find_payment", "pay_back", "release_goods"]


def test_a_failed_call_is_still_looked_up_when_it_was_given_fresh_tries_meanwhile(operator: Actor) -> None:
    flows.behaviour["hold"] = raising(PermanentError("Refused."))
    run = drive(started(flows.purchase_flow))
    resume_run(actor=operator, run_id=run.pk, reason=WHY)
    pause_run(actor=operator, run_id=run.pk, reason=WHY)
    flows.behaviour["find_hold"] = lambda ctx: flows.Note(text="it did happen")
    roll_back_run(actor=operator, run_id=run.pk, reason=WHY)
    assert drive(run).status == "rolled_back"
    assert called() == ["enter", "hold", "find_hold", "let_go", "strike_out"]


def test_a_compensation_is_retried_and_then_left_to_a_person(operator: Actor) -> None:
    run = drive(started(flows.order_flow))
    flows.calls.clear()
    flows.behaviour["pay_back"] = raising(TransientError("Not now."))
    roll_back_run(actor=operator, run_id=run.pk, reason=WHY)
    run = drive(run)
    assert (run.status, run.current_step) == ("rollback_failed", "pay")
    assert called() == ["unbook", "pay_back", "pay_back", "pay_back"]
    flows.behaviour.clear()
    flows.calls.clear()
    resume_run(actor=operator, run_id=run.pk, reason=WHY)
    run.refresh_from_db()
    assert drive(run).status == "rolled_back"
    assert called() == ["pay_back", "release_goods"]


def test_a_run_is_not_changed_under_a_workers_hands(operator: Actor) -> None:
    run = started(flows.order_flow)
    Run.objects.filter(pk=run.pk).update(status="running", lease_owner="somebody", lease_expires_at="2100-01-01T00Z")
    for command in (resume_run, roll_back_run):
        with pytest.raises(InvalidTransition):
            command(actor=operator, run_id=run.pk, reason=WHY)


def test_the_offered_commands_are_those_that_work(operator: Actor, personas: Personas) -> None:
    run = failed_at("book", PermanentError("No."))
    run = Run.objects.select_related("workflow__team").get(pk=run.pk)
    rows = list(StepRun.objects.filter(run=run))
    possible = {c.name for c in available_commands(operator, run, rows) if c.is_possible}
    assert possible == {"resume", "retry", "skip", "cancel", "rollback"}
    viewer = available_commands(person(personas.viewer), run, rows)
    assert not any(c.is_possible for c in viewer)
