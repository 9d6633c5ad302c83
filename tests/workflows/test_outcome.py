from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from portal.core.clock import now
from tests.definitions import PARTNER_PAYOUT
from tests.factories import make_run, make_workflow
from workflows.engine.state import RunStatus, StepStatus, WaitingReason
from workflows.history import waiting_since
from workflows.models import Run, RunEvent, StepRun
from workflows.outcome import Facts, outcome
from workflows.queries.run_page import declared_steps, step_rows
from workflows.templatetags.runs import sentence

pytestmark = pytest.mark.django_db


def told(run: Run, *silent: str) -> list[str]:
    """Return headline and notes as text, each moment as "…"."""
    events = list(RunEvent.objects.filter(run=run).order_by("number"))
    facts = Facts(
        run=Run.objects.select_related("workflow__paused_by").get(pk=run.pk),
        definition=declared_steps(run),
        steps=step_rows(run),
        last={event.kind: event for event in events},
        waiting_since=waiting_since(events),
        silent=silent,
        now=now(),
    )
    found = outcome(facts)
    return ["".join(p if isinstance(p, str) else "…" for p in s) for s in (found.headline, *found.notes)]


def error(code: str, message: str = "It broke") -> dict[str, Any]:
    return {"type": "X", "code": code, "message": message, "context": {}, "chain": [], "stack": []}


def event(run: Run, kind: str, step: str = "", **data: Any) -> None:
    run.event_count += 1
    RunEvent.objects.create(run=run, number=run.event_count, at=now(), kind=kind, step=step, data=data)


def test_a_failure_names_step_tries_and_cause_and_what_is_kept() -> None:
    run = make_run(status=RunStatus.FAILED)
    StepRun.objects.filter(run=run, step="charge").update(attempts=3)
    assert told(run) == [
        "Failed at step 2 of 5 (Charge the client) after 3 tries: payments-gateway answered 502 Bad Gateway.",
        "By what the step reports, payments-gateway did not carry it out.",
        "Check invoice is done and kept.",
    ]


def test_what_is_not_known_is_told_as_not_known() -> None:
    run = make_run(status=RunStatus.FAILED, error=error("timeout"))
    assert told(run)[1] == (
        "Whether payments-gateway carried it out is not known; a resume asks payments-gateway before it tries again."
    )


def test_a_failed_database_step_left_nothing_behind() -> None:
    run = make_run(status=RunStatus.FAILED, at="post_to_ledger", error=error("exception"))
    assert "Nothing of this step was written" in told(run)[1]


def test_a_step_that_must_not_be_repeated_says_so() -> None:
    run = make_run(make_workflow(PARTNER_PAYOUT), status=RunStatus.FAILED, at="send_payout", error=error("timeout"))
    assert told(run)[1] == "Whether banking carried it out is not known, and a resume would send it again."


def test_an_uncertain_step_asks_for_a_decision() -> None:
    run = make_run(
        make_workflow(PARTNER_PAYOUT), status=RunStatus.PAUSED, at="send_payout", step_status=StepStatus.UNCERTAIN
    )
    assert told(run)[:2] == [
        "Uncertain at step 3 of 5 (Send the payout): whether banking carried it out is not known.",
        "It is not repeated by itself. Find out, then say whether it happened.",
    ]


def test_a_run_waits_for_a_dependency_since_its_first_vain_look() -> None:
    run = make_run(status=RunStatus.WAITING, wake_at=now() + timedelta(seconds=30))
    first = now() - timedelta(minutes=4)
    RunEvent.objects.filter(run=run, kind="run.waiting").update(kind="step.unavailable", at=first)
    event(run, "step.unavailable", "charge")
    assert told(run) == [
        "Waits for payments-gateway since …; tries again at ….",
        "At step 2 of 5 (Charge the client). "
        "Nothing failed: the run goes on by itself when the service answers again.",
    ]
    assert waiting_since(list(RunEvent.objects.filter(run=run))) == first


def test_a_retry_says_when_and_which_try() -> None:
    run = make_run(
        status=RunStatus.WAITING,
        waiting_reason=WaitingReason.RETRY,
        waiting_on="charge",
        wake_at=now() + timedelta(seconds=30),
    )
    StepRun.objects.filter(run=run, step="charge").update(attempts=2, error=error("timeout", "Timed out after 5 s"))
    assert told(run) == [
        "Waits to try step 2 of 5 (Charge the client) again at … (try 3 of 5).",
        "Last try: Timed out after 5 s.",
    ]


def test_a_running_run_names_its_step_and_the_time_it_has_taken() -> None:
    run = make_run(status=RunStatus.RUNNING, at="post_to_ledger")
    assert told(run) == ["Running step 3 of 5 (Post to the ledger), for …."]


def test_a_step_without_effect_may_be_done_before_it_is_written_down() -> None:
    run = make_run(status=RunStatus.RUNNING, at="check_invoice")
    assert told(run)[0] == "Running step 1 or 2 of 5 (Check invoice or Charge the client), for …."
    Run.objects.filter(pk=run.pk).update(current_step_at=now())
    assert told(run)[0] == "Running step 1 of 5 (Check invoice), for …."


def test_a_run_that_nobody_will_take_says_who_is_missing() -> None:
    assert told(make_run(status=RunStatus.QUEUED)) == ["Waits for a free worker since …."]
    words = "No worker and no dispatcher is heard from: the run stands until that is mended."
    assert told(make_run(status=RunStatus.QUEUED), "worker", "dispatcher")[1] == words
    overdue = make_run(status=RunStatus.WAITING, wake_at=now() - timedelta(minutes=1))
    assert told(overdue, "dispatcher")[-1].startswith("No dispatcher is heard from")
    later = make_run(status=RunStatus.WAITING, wake_at=now() + timedelta(minutes=1))
    assert not any("heard from" in words for words in told(later, "dispatcher"))


def test_missing_configuration_is_named() -> None:
    run = make_run(
        status=RunStatus.WAITING, waiting_reason=WaitingReason.CONFIGURATION, waiting_on="PAYMENTS_KEY is missing"
    )
    assert told(run)[0] == "Waits for configuration since …: PAYMENTS_KEY is missing."


def test_a_pause_names_who_and_why_also_if_it_was_asked_for_while_a_worker_had_the_run() -> None:
    run = make_run(status=RunStatus.PAUSED)
    RunEvent.objects.filter(run=run, kind="run.paused").update(
        kind="run.pause_requested", data={"actor": "Ana Novak", "reason": "The client disputes it"}
    )
    event(run, "run.paused", asked="while it ran")
    assert told(run)[0] == "Paused by Ana Novak at …: The client disputes it."


def test_a_request_that_is_not_obeyed_yet_is_told() -> None:
    run = make_run(status=RunStatus.RUNNING, request="cancel")
    event(run, "run.cancel_requested", actor="Ana Novak", reason="Not needed any more")
    assert told(run)[1] == (
        "A cancellation was asked for by Ana Novak: it takes effect as soon as this step has ended."
    )


def test_a_partial_rollback_names_the_step_it_stopped_at() -> None:
    run = make_run(status=RunStatus.PAUSED, at="post_to_ledger", step_status=StepStatus.COMPENSATED)
    RunEvent.objects.filter(run=run, kind="run.paused").update(kind="run.rolled_back", data={"to_step": "charge"})
    assert told(run) == [
        "Rolled back to Charge the client at …, and paused there.",
        "Undone: Post to the ledger.",
        "Check invoice and Charge the client are done and kept.",
    ]


def test_a_rollback_that_stopped_says_what_is_undone_and_what_is_still_in_force() -> None:
    run = make_run(status=RunStatus.ROLLBACK_FAILED, at="post_to_ledger")
    assert told(run) == [
        "Rollback stopped: Post to the ledger could not be undone: payments-gateway answered 502 Bad Gateway.",
        "Nothing is undone yet.",
        "Still in force: Check invoice and Charge the client.",
    ]


def test_a_late_success_says_that_it_is_late() -> None:
    assert told(make_run(took=timedelta(hours=2))) == [
        "Succeeded in …: all 5 steps are done.",
        "Late: promised within ….",
    ]


def test_gaps_of_a_degraded_run_are_named() -> None:
    run = make_run(status=RunStatus.DEGRADED)
    StepRun.objects.filter(run=run, step="send_receipt").update(
        status=StepStatus.FAILED, error=error("transient", "The mail server is full")
    )
    assert told(run) == [
        "Finished in … with gaps.",
        "Send receipt failed, and is optional: The mail server is full.",
    ]


def test_a_held_run_names_who_holds_the_workflow() -> None:
    ana = get_user_model().objects.create(username="ana", first_name="Ana", last_name="Novak")
    workflow = make_workflow(paused_at=now(), paused_by=ana, paused_reason="The bank is closed")
    run = make_run(workflow, status=RunStatus.SCHEDULED)
    assert told(run)[0] == "Held: Settle an invoice is paused by Ana Novak since …: The bank is closed."


def test_moments_and_markup_are_written_safely() -> None:
    html = sentence(("Waits <b> since ", now(), " for ", timedelta(seconds=134)))
    assert "&lt;b&gt;" in html
    assert "<time datetime=" in html
    assert "2 m 14 s" in html
