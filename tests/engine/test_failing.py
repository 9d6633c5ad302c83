"""What happens when a step does not succeed: retries, waits, fallbacks, and outcomes that nobody knows."""

from __future__ import annotations

import time
from typing import Any, NoReturn

import pytest
from django.db import connection

from tests.engine import flows
from tests.engine.drive import advance_once, drive, started, steps_of, wake
from tests.factories import told
from workflows import DependencyUnavailable, InvalidData, OutcomeUnknown, RateLimited, TransientError
from workflows.models import Attempt, RunEvent, StepRun

pytestmark = pytest.mark.django_db


def raising(error: Exception) -> Any:
    def behave(ctx: object) -> NoReturn:
        raise error

    return behave


def failing_times(times: int, error: Exception, then: Any) -> Any:
    left = [times]

    def behave(ctx: object) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return then

    return behave


def test_a_transient_error_is_tried_again_later_with_the_same_operation_key() -> None:
    flows.behaviour["reserve"] = failing_times(2, TransientError("Not now."), flows.Note(text="reserved"))
    run = advance_once(started(flows.order_flow))
    assert (run.status, run.waiting_reason, run.lease_owner) == ("waiting", "retry", "")
    assert run.wake_at is not None
    run = drive(wake(run))
    assert run.status == "succeeded"
    assert run.retry_count == 2
    tries = [(key, attempt) for name, key, attempt in flows.calls if name == "reserve"]
    assert tries == [(f"{run.pk}:reserve:0", n) for n in (1, 2, 3)]
    assert list(Attempt.objects.values_list("step", "number", "outcome")) == [
        ("reserve", 1, "failed"),
        ("reserve", 2, "failed"),
    ]


def test_the_last_try_fails_the_run_and_keeps_the_cause() -> None:
    def behave(ctx: object) -> NoReturn:
        try:
            raise ConnectionResetError("reset by peer")
        except ConnectionResetError as exc:
            raise TransientError("The shop hung up.") from exc

    flows.behaviour["reserve"] = behave
    run = drive(started(flows.order_flow))
    assert (run.status, run.current_step) == ("failed", "reserve")
    assert told(run)["message"] == "The shop hung up."
    assert told(run)["chain"] == [{"type": "ConnectionResetError", "message": "reset by peer"}]
    assert told(run)["stack"][-1]["function"] == "behave"
    assert told(run)["stack"][-1]["in_app"]
    assert [a.outcome for a in Attempt.objects.all()] == ["failed"] * 3
    assert steps_of(run) == {"prepare": "succeeded", "reserve": "failed"}


@pytest.mark.parametrize("error", [InvalidData("Bad number."), KeyError("number")])
def test_what_trying_again_cannot_help_fails_at_once(error: Exception) -> None:
    flows.behaviour["reserve"] = raising(error)
    run = advance_once(started(flows.order_flow))
    assert run.status == "failed"
    assert Attempt.objects.count() == 1


def test_an_unavailable_dependency_is_waited_for_and_uses_up_no_try() -> None:
    flows.behaviour["reserve"] = failing_times(5, DependencyUnavailable("Down."), flows.Note(text="reserved"))
    run = advance_once(started(flows.order_flow))
    assert (run.status, run.waiting_reason, run.waiting_on) == ("waiting", "dependency", "test-shop")
    run = drive(wake(run))
    assert run.status == "succeeded"
    assert StepRun.objects.get(run=run, step="reserve").attempts == 1
    assert {a.outcome for a in Attempt.objects.all()} == {"unavailable"}


def test_the_time_that_a_rate_limit_names_is_kept() -> None:
    flows.behaviour["reserve"] = failing_times(1, RateLimited("Slow down.", retry_after=90), flows.Note(text="ok"))
    run = advance_once(started(flows.order_flow))
    attempt = Attempt.objects.get()
    assert attempt.retry_at is not None
    assert 89 <= (attempt.retry_at - attempt.ended_at).total_seconds() <= 91
    assert run.wake_at is not None


def test_a_step_is_interrupted_at_its_timeout_even_if_it_catches_every_exception() -> None:
    def stubborn(ctx: object) -> flows.Note:
        try:
            time.sleep(30)  # the step's time is 0.5 s
        except Exception:  # noqa: BLE001 - what a careless author writes
            return flows.Note(text="never")
        return flows.Note(text="never")

    flows.behaviour["reserve"] = stubborn
    began = time.monotonic()
    run = advance_once(started(flows.order_flow))
    assert time.monotonic() - began < 10
    assert (run.status, run.waiting_reason) == ("waiting", "retry")
    attempt = Attempt.objects.get()
    assert attempt.outcome == "timed_out"
    assert told(attempt)["message"] == "No answer within 0.5 s."


@pytest.mark.django_db(transaction=True)
def test_a_query_is_interrupted_and_its_transaction_rolled_back() -> None:
    def slow_query(ctx: object) -> flows.Note:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO core_team (slug, name, created_at) VALUES ('left-over', 'x', now())")
            cursor.execute("SELECT pg_sleep(30)")
        return flows.Note(text="never")

    flows.behaviour["book"] = slow_query
    run = drive_until(started(flows.order_flow), "book")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_team WHERE slug = 'left-over'")
        assert cursor.fetchone() == (0,)
    assert Attempt.objects.get(run=run).outcome == "timed_out"


def test_an_optional_step_that_fails_leaves_the_run_degraded() -> None:
    flows.behaviour["tell"] = raising(TransientError("No mail today."))
    run = drive(started(flows.order_flow))
    assert run.status == "degraded"
    assert steps_of(run)["tell"] == "failed"


def test_an_optional_step_does_not_hold_the_run_while_its_dependency_is_down() -> None:
    flows.behaviour["tell"] = raising(DependencyUnavailable("Down."))
    assert drive(started(flows.order_flow)).status == "degraded"


def test_a_fallback_takes_the_place_of_a_failed_step() -> None:
    flows.behaviour["ask"] = raising(TransientError("Nobody there."))
    run = drive(started(flows.blind_flow))
    assert run.status == "degraded"
    assert run.output == {"text": "plan B"}
    assert steps_of(run)["ask"] == "fell_back"


def test_an_output_of_the_wrong_shape_fails_the_step_with_the_field_named() -> None:
    flows.behaviour["prepare"] = lambda ctx: {"txt": "wrong"}
    run = drive(started(flows.order_flow))
    assert run.status == "failed"
    assert "text" in told(run)["message"]
    assert told(run)["code"] == "invalid-output"


# A call that must not be repeated -------------------------------------------------------------------


@pytest.mark.parametrize("error", [OutcomeUnknown("Half an answer."), OSError("cut")])
def test_an_unknown_outcome_is_looked_up_and_not_repeated_if_it_happened(error: Exception) -> None:
    flows.behaviour["pay"] = raising(error)
    flows.behaviour["find_payment"] = lambda ctx: flows.Note(text="found")
    run = drive(started(flows.order_flow))
    assert run.status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("pay") == 1
    assert StepRun.objects.get(run=run, step="pay").output == {"text": "found"}
    assert RunEvent.objects.filter(run=run, kind="step.verified").get().data == {"happened": True}


def test_an_unknown_outcome_that_did_not_happen_is_tried_again() -> None:
    flows.behaviour["pay"] = failing_times(1, OutcomeUnknown("Half an answer."), flows.Note(text="paid"))
    run = advance_once(started(flows.order_flow))
    assert (run.status, run.waiting_reason) == ("waiting", "retry")
    assert drive(wake(run)).status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("pay") == 2


def test_what_an_author_says_had_no_effect_is_tried_again_without_looking() -> None:
    flows.behaviour["pay"] = failing_times(1, TransientError("Refused."), flows.Note(text="paid"))
    assert drive(started(flows.order_flow)).status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("find_payment") == 0


def test_an_outcome_that_cannot_be_looked_up_is_left_to_a_person() -> None:
    flows.behaviour["shoot"] = raising(OutcomeUnknown("Half an answer."))
    run = drive(started(flows.blind_flow))
    assert (run.status, steps_of(run)) == ("paused", {"shoot": "uncertain"})
    assert told(run)["message"] == "Half an answer."


def test_a_verification_that_fails_is_tried_again_and_then_left_to_a_person() -> None:
    flows.behaviour["pay"] = raising(OutcomeUnknown("Half an answer."))
    flows.behaviour["find_payment"] = raising(TransientError("The books are closed."))
    run = drive(started(flows.order_flow))
    assert (run.status, steps_of(run)["pay"]) == ("paused", "uncertain")
    assert [name for name, _, _ in flows.calls].count("pay") == 1
    assert Attempt.objects.filter(run=run, kind="verify").count() == 3


def drive_until(run: Any, step: str) -> Any:
    """Advance once; the first five steps need no waiting."""
    run = advance_once(run)
    assert run.current_step == step
    return run
