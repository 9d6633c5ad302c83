from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from portal.core.models import AuditEntry
from tests.engine import drive, flows
from tests.engine.flows import Note, blind_flow, order_flow
from tests.personas import Personas
from workflows.errors import BusinessRuleViolation, OutcomeUnknown
from workflows.models import Run, RunEvent, StepRun

pytestmark = pytest.mark.django_db
REASON = "The shop answers again."
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _clean_slate() -> None:
    flows.behaviour.clear()
    flows.calls.clear()


def refuse(ctx: object) -> Note:
    raise BusinessRuleViolation("The shop is closed today")


def vanish(ctx: object) -> Note:
    raise OutcomeUnknown("No answer came")


@pytest.fixture
def failed(personas: Personas) -> Run:
    """A run that failed at its second step, ``reserve``."""
    flows.behaviour["reserve"] = refuse
    run = drive.drive(drive.started(order_flow))
    flows.behaviour.clear()
    assert run.status == "failed"
    return run


@pytest.fixture
def uncertain(personas: Personas) -> Run:
    """A run whose only effect may or may not have happened, with no way to look it up."""
    flows.behaviour["shoot"] = vanish
    run = drive.drive(drive.started(blind_flow))
    assert drive.steps_of(run) == {"shoot": "uncertain"}
    return run


@pytest.fixture
def operator(personas: Personas) -> Client:
    return personas.client("operator")


def address(run: Run, command: str) -> str:
    return reverse(f"run-{command}", args=[run.pk])


def typed(run: Run, **values: str) -> dict[str, str]:
    """Return a filled-in form for the run as it is now."""
    run.refresh_from_db()
    return {"reason": REASON, "expected_version": str(run.event_count), "token": uuid4().hex} | values


def status_of(run: Run) -> str:
    return Run.objects.get(pk=run.pk).status


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


@pytest.mark.parametrize("command", ["resume", "pause", "cancel", "rollback", "retry", "skip"])
def test_a_dialog_is_a_page_without_script_and_a_form_with_it(operator: Client, failed: Run, command: str) -> None:
    page = operator.get(address(failed, command))
    assert "<!doctype html>" in page.content.decode()
    form = operator.get(address(failed, command), headers=HTMX)
    assert form.content.decode().lstrip().startswith('<form class="dialog__form"')
    assert "data-cancel" in form.content.decode()


def test_a_dialog_says_what_will_happen_and_what_stays(operator: Client, failed: Run) -> None:
    words = text_of(operator.get(address(failed, "resume")))
    assert f"Resume run {str(failed.pk)[-8:]}?" in words
    assert "It goes on at Reserve, with fresh tries." in words
    assert "test-shop gets the same operation key as before" in words
    assert "Prepare: done, and not done again." in words


def test_resuming_goes_on_after_the_last_checkpoint(operator: Client, failed: Run) -> None:
    response = operator.post(address(failed, "resume"), typed(failed))
    assert (response.status_code, response.headers["Location"]) == (303, f"/runs/{failed.pk}/")
    assert drive.drive(failed).status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("prepare") == 1


def test_what_was_done_is_audited_with_its_reason_and_linked(operator: Client, failed: Run) -> None:
    page = operator.post(address(failed, "resume"), typed(failed), follow=True)
    entry = AuditEntry.objects.get(object_id=str(failed.pk), action="workflows.run.resume")
    assert (entry.reason, entry.actor_label) == (REASON, "Operator")
    assert f'href="/audit/{entry.pk}/"' in page.content.decode()


def test_for_htmx_success_leads_to_the_run(operator: Client, failed: Run) -> None:
    response = operator.post(address(failed, "resume"), typed(failed), headers=HTMX)
    assert response.headers["HX-Redirect"] == f"/runs/{failed.pk}/"


@pytest.mark.parametrize("reason", ["", "too short"])
def test_without_a_real_reason_nothing_is_done_and_the_form_comes_back(
    operator: Client, failed: Run, reason: str
) -> None:
    response = operator.post(address(failed, "resume"), typed(failed, reason=reason), headers=HTMX)
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.content.decode()
    assert status_of(failed) == "failed"


def test_the_same_submit_twice_is_done_once(operator: Client, failed: Run) -> None:
    form = typed(failed)
    first = operator.post(address(failed, "resume"), form)
    second = operator.post(address(failed, "resume"), form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert RunEvent.objects.filter(run=failed, kind="run.resumed").count() == 1
    assert AuditEntry.objects.filter(object_id=str(failed.pk), action="workflows.run.resume").count() == 1


def test_a_run_that_changed_meanwhile_is_left_alone_and_the_reason_is_kept(
    operator: Client, personas: Personas, failed: Run
) -> None:
    form = typed(failed)
    personas.client("admin").post(address(failed, "cancel"), typed(failed, reason="Nobody needs it any more."))
    response = operator.post(address(failed, "resume"), form, headers=HTMX)
    words = text_of(response)
    assert response.status_code == 409
    assert "Cancelled" in words
    assert "by Admin: Nobody needs it any more." in words
    assert REASON in words
    assert status_of(failed) == "cancelled"


def test_confirming_again_counts_for_the_new_state(operator: Client, personas: Personas, failed: Run) -> None:
    form = typed(failed)
    personas.client("admin").post(address(failed, "cancel"), typed(failed))
    stale = operator.post(address(failed, "resume"), form, headers=HTMX).content.decode()
    seen = re.search(r'name="expected_version" value="(\d+)"', stale)
    assert seen
    assert operator.post(address(failed, "resume"), form | {"expected_version": seen[1]}).status_code == 303
    assert status_of(failed) == "queued"


def test_a_right_that_was_lost_meanwhile_is_a_clear_refusal(
    operator: Client, personas: Personas, failed: Run
) -> None:
    form = typed(failed)
    personas.operator.groups.set(Group.objects.filter(name="viewer"))
    response = operator.post(address(failed, "resume"), form, headers=HTMX)
    assert response.status_code == 403
    assert "resume run" in text_of(response)
    assert "<!doctype" not in response.content.decode()
    assert status_of(failed) == "failed"


@pytest.mark.parametrize(
    ("persona", "command", "status"),
    [
        ("viewer", "resume", 403),
        ("support", "resume", 303),
        ("support", "cancel", 403),
        ("manager", "rollback", 403),
        ("outsider", "resume", 404),
    ],
)
def test_only_those_with_the_right_act(
    personas: Personas, failed: Run, persona: str, command: str, status: int
) -> None:
    assert personas.client(persona).post(address(failed, command), typed(failed)).status_code == status


def test_what_the_state_forbids_is_told_and_cannot_be_confirmed(operator: Client, personas: Personas) -> None:
    run = drive.drive(drive.started(order_flow))
    words = text_of(operator.get(address(run, "resume"), headers=HTMX))
    assert "This cannot be done now" in words
    assert "there is nothing to resume" in words
    assert "Resume run</button>" not in words
    assert operator.post(address(run, "resume"), typed(run)).status_code == 409


def test_the_page_offers_what_is_possible_and_says_whom_to_ask_for_the_rest(personas: Personas, failed: Run) -> None:
    page = text_of(personas.client("viewer").get(f"/runs/{failed.pk}/"))
    assert f'href="/runs/{failed.pk}/resume/"' not in page
    assert "Needs the right to resume run. Ask Test team for it." in page
    assert f'href="/runs/{failed.pk}/resume/"' in text_of(personas.client("support").get(f"/runs/{failed.pk}/"))


def test_a_rollback_is_previewed_and_then_done(operator: Client, personas: Personas) -> None:
    run = drive.drive(drive.started(order_flow, amount=250))
    words = text_of(operator.get(address(run, "rollback")))
    assert "At stake: <strong" in words
    assert "<b>Book</b>: Book it back." in words
    assert "<b>Tell</b>: Its effect stays: there is no way to undo it." in words
    assert "Roll back 3 steps</button>" in words
    assert operator.post(address(run, "rollback"), typed(run)).status_code == 303
    assert drive.drive(run).status == "rolled_back"


def test_a_rollback_to_a_step_undoes_only_what_follows(operator: Client, personas: Personas) -> None:
    run = drive.drive(drive.started(order_flow))
    words = text_of(operator.get(f"{address(run, 'rollback')}?to_step=reserve"))
    assert "Roll back 2 steps</button>" in words
    assert operator.post(address(run, "rollback"), typed(run, to_step="reserve")).status_code == 303
    assert drive.drive(run).status == "paused"
    assert drive.steps_of(run)["reserve"] == "succeeded"


def test_a_skipped_step_needs_the_output_that_later_steps_take(operator: Client, failed: Run) -> None:
    form = typed(failed, step="reserve")
    refused = operator.post(address(failed, "skip"), form)
    assert refused.status_code == 422
    assert "Later steps need what this step gives" in text_of(refused)
    not_json = operator.post(address(failed, "skip"), form | {"output": "{text"})
    assert "This is not JSON." in text_of(not_json)
    wrong = operator.post(address(failed, "skip"), form | {"output": '{"text": 4}'})
    assert "text: Input should be a valid string" in text_of(wrong)
    assert operator.post(address(failed, "skip"), form | {"output": '{"text": "by hand"}'}).status_code == 303
    assert StepRun.objects.get(run=failed, step="reserve").output == {"text": "by hand"}
    assert drive.drive(failed).status == "succeeded"


def test_a_step_can_be_retried_from(operator: Client, failed: Run) -> None:
    words = text_of(operator.get(f"{address(failed, 'retry')}?step=prepare"))
    assert "Run again: Prepare, Reserve, Pay, Book and Tell." in words
    assert operator.post(address(failed, "retry"), typed(failed, step="prepare")).status_code == 303
    assert drive.drive(failed).status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("prepare") == 2


def test_what_is_committed_cannot_be_retried_and_the_dialog_says_so_at_once(
    operator: Client, personas: Personas
) -> None:
    run = drive.drive(drive.started(order_flow))
    words = text_of(operator.get(f"{address(run, 'retry')}?step=reserve"))
    assert "is committed; running it again would do it twice. Roll back first." in words
    assert "Retry from this step</button>" not in words
    assert operator.post(address(run, "retry"), typed(run, step="reserve")).status_code == 409


def test_a_step_that_the_workflow_does_not_have_is_not_found(operator: Client, failed: Run) -> None:
    assert operator.get(f"{address(failed, 'retry')}?step=nonsense").status_code == 404
    assert operator.post(address(failed, "retry"), typed(failed, step="nonsense")).status_code == 404


def test_an_uncertain_step_is_decided_as_happened_with_its_output(operator: Client, uncertain: Run) -> None:
    form = typed(uncertain, step="shoot")
    assert "Say whether it happened." in text_of(operator.post(address(uncertain, "decide"), form))
    happened = form | {"happened": "yes"}
    assert operator.post(address(uncertain, "decide"), happened).status_code == 422
    answer = operator.post(address(uncertain, "decide"), happened | {"output": '{"text": "seen at the bank"}'})
    assert answer.status_code == 303
    assert drive.drive(uncertain).status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("shoot") == 1


def test_an_uncertain_step_is_decided_as_not_happened_and_done_again(operator: Client, uncertain: Run) -> None:
    flows.behaviour.clear()
    form = typed(uncertain, step="shoot", happened="no")
    assert operator.post(address(uncertain, "decide"), form).status_code == 303
    assert drive.drive(uncertain).status == "succeeded"
    assert [name for name, _, _ in flows.calls].count("shoot") == 2


def test_nothing_is_done_by_get(operator: Client, failed: Run) -> None:
    events = failed.event_count
    for command in ("resume", "cancel", "rollback", "retry", "skip"):
        operator.get(address(failed, command))
    failed.refresh_from_db()
    assert failed.event_count == events


def test_a_dialog_takes_few_queries(
    operator: Client, failed: Run, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for command in ("resume", "rollback", "skip", "retry"):
        with django_assert_max_num_queries(12):
            operator.get(address(failed, command), headers=HTMX)
