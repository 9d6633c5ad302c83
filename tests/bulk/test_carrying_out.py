"""Stages, surprises, rate, and a person's hand on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from portal.core.models import AuditEntry
from tests.bulk.help import REASON, begin, carry_on, failed_runs, refuse, select, statuses, verdicts
from tests.engine import drive, flows
from tests.personas import Personas
from workflows.bulk import driver, engine, services
from workflows.bulk.preview import dry_run
from workflows.engine.state import RunStatus
from workflows.models import BulkItem, BulkOperation, Run
from workflows.services import cancel_run, resume_run

pytestmark = pytest.mark.django_db
Clock = time_machine.Traveller


def statuses_of(runs: list[Run]) -> list[str]:
    return [Run.objects.get(pk=run.pk).status for run in runs]


def test_one_then_ten_then_the_rest_and_each_once(personas: Personas, clock: Clock) -> None:
    runs = failed_runs(14)
    operation = begin(personas.actor("operator"))
    assert operation.ladder == [1, 10, 3]
    carry_on(operation, clock)
    assert (operation.status, operation.stage) == ("done", 2)
    assert statuses_of(runs) == ["succeeded"] * 14
    assert verdicts(operation) == ["good"] * 14
    assert [name for name, _, _ in flows.calls].count("pay") == 14


def test_nothing_of_a_stage_is_touched_before_the_one_before_it_has_settled(personas: Personas, clock: Clock) -> None:
    failed_runs(3)
    operation = begin(personas.actor("operator"))
    for _ in range(30):
        engine.advance(operation.pk)
        clock.shift(1)
    assert statuses(operation) == ["done", "pending", "pending"]


def test_the_first_surprise_halts_and_the_rest_is_untouched(personas: Personas, clock: Clock) -> None:
    runs = failed_runs(5)
    flows.behaviour["reserve"] = refuse
    operation = carry_on(begin(personas.actor("operator")), clock)
    assert operation.status == "halted"
    assert "Failed again at reserve: The shop is closed today" in operation.halted_because
    assert statuses(operation) == ["done", *["pending"] * 4]
    assert statuses_of(runs) == ["failed"] * 5
    assert Run.objects.get(pk=runs[1].pk).event_count == runs[1].event_count


def test_a_refusal_is_a_surprise(personas: Personas, clock: Clock) -> None:
    runs = failed_runs(3)
    operation = begin(personas.actor("operator"), select("cancel"))
    cancel_run(actor=personas.actor("admin"), run_id=runs[0].pk, reason="Somebody was quicker")
    resume_run(actor=personas.actor("admin"), run_id=runs[0].pk, reason="And changed their mind")
    drive.drive(runs[0])
    Run.objects.filter(pk=runs[0].pk).update(status="rolling_back", ended_at=None)
    carry_on(operation, clock)
    assert operation.status == "halted"
    assert "could not be cancelled: A rollback is not stopped half-way" in operation.halted_because
    assert statuses(operation) == ["refused", "pending", "pending"]


def test_what_went_on_by_itself_surprises_nobody_but_proves_nothing(personas: Personas, clock: Clock) -> None:
    runs = failed_runs(3)
    operation = begin(personas.actor("operator"))
    resume_run(actor=personas.actor("admin"), run_id=runs[0].pk, reason="Somebody was quicker")
    drive.drive(runs[0])
    carry_on(operation, clock)
    assert operation.status == "halted"
    assert statuses(operation) == ["not_needed", "pending", "pending"]
    assert "None of the first 1 needed it" in operation.halted_because


def test_a_canary_that_does_not_settle_in_time_halts(personas: Personas, clock: Clock) -> None:
    failed_runs(3)
    operation = begin(personas.actor("operator"))
    engine.advance(operation.pk)
    clock.shift(timedelta(minutes=3, seconds=1))
    engine.advance(operation.pk)
    operation.refresh_from_db()
    assert operation.status == "halted"
    assert "did not settle in the time" in operation.halted_because
    assert verdicts(operation)[0] == "inconclusive"


def test_a_person_may_continue_after_a_halt_and_vouches_for_the_stage(personas: Personas, clock: Clock) -> None:
    runs = failed_runs(4)
    flows.behaviour["reserve"] = refuse
    operator = personas.actor("operator")
    operation = carry_on(begin(operator), clock)
    flows.behaviour.clear()
    services.continue_operation(actor=operator, operation_id=operation.pk, reason="That one was a real refusal.")
    carry_on(operation, clock)
    assert operation.status == "done"
    assert statuses_of(runs) == ["failed", *["succeeded"] * 3]
    assert verdicts(operation) == ["bad", *["good"] * 3]


def test_a_second_surprise_halts_again(personas: Personas, clock: Clock) -> None:
    failed_runs(4)
    flows.behaviour["reserve"] = refuse
    operator = personas.actor("operator")
    operation = carry_on(begin(operator), clock)
    services.continue_operation(actor=operator, operation_id=operation.pk, reason="That one was a real refusal.")
    carry_on(operation, clock)
    assert operation.status == "halted"
    assert "bad" in verdicts(operation)[1:]


def test_the_rate_is_kept(personas: Personas, clock: Clock) -> None:
    failed_runs(8)
    operation = begin(personas.actor("operator"), per_minute=10)
    BulkOperation.objects.filter(pk=operation.pk).update(ladder=[8])
    BulkItem.objects.filter(operation=operation).update(stage=0)
    done = []
    for _ in range(60):
        engine.advance(operation.pk)
        done.append(statuses(operation).count("done"))
        clock.shift(1)
    assert done[0] == 1
    assert done[5] == 1
    assert done[6] == 2
    assert max(done) <= 10
    assert all(later - earlier <= 1 for earlier, later in zip(done, done[6:], strict=False))


def test_after_a_pause_of_the_dispatchers_nothing_is_made_up_for(personas: Personas, clock: Clock) -> None:
    failed_runs(6)
    operation = begin(personas.actor("operator"), per_minute=10)
    engine.advance(operation.pk)
    drive.drive(Run.objects.get(status="queued"))
    clock.shift(timedelta(hours=1))
    for _ in range(5):
        engine.advance(operation.pk)
    assert statuses(operation).count("done") == 2


def test_pause_continue_and_stop(personas: Personas, clock: Clock) -> None:
    failed_runs(3)
    operator = personas.actor("operator")
    operation = begin(operator)
    services.pause_operation(actor=operator, operation_id=operation.pk, reason="A question first, please.")
    assert not engine.advance(operation.pk)
    services.continue_operation(actor=operator, operation_id=operation.pk, reason="It is answered now.")
    assert engine.advance(operation.pk)
    services.stop_operation(actor=operator, operation_id=operation.pk, reason="It is not needed any more.")
    assert not engine.advance(operation.pk)
    operation.refresh_from_db()
    assert (operation.status, operation.ended_at is not None) == ("stopped", True)
    assert statuses(operation) == ["done", "pending", "pending"]
    assert [line["what"] for line in operation.history] == ["Started", "Paused", "Continued", "Stopped"]
    actions = AuditEntry.objects.filter(object_id=str(operation.pk)).order_by("sequence")
    assert [entry.action.rpartition(".")[2] for entry in actions] == ["start", "pause", "continue", "stop"]


def test_each_run_has_its_own_audit_entry_in_the_name_of_the_person(personas: Personas, clock: Clock) -> None:
    runs = failed_runs(2)
    operation = carry_on(begin(personas.actor("operator")), clock)
    entries = AuditEntry.objects.filter(action="workflows.run.resume", correlation_id=operation.pk.hex)
    assert {entry.object_id for entry in entries} == {str(run.pk) for run in runs}
    assert {entry.actor_label for entry in entries} == {"Operator"}
    assert all(REASON in entry.reason and str(operation.pk)[-8:] in entry.reason for entry in entries)


def test_a_right_that_is_lost_meanwhile_halts(personas: Personas, clock: Clock) -> None:
    runs = failed_runs(2)
    operation = begin(personas.actor("operator"))
    personas.operator.groups.clear()
    carry_on(operation, clock)
    assert operation.status == "halted"
    assert statuses_of(runs) == ["failed", "failed"]


def test_a_mistake_in_the_code_of_a_command_halts_and_undoes_what_it_wrote(
    personas: Personas, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = failed_runs(2)
    operation = begin(personas.actor("operator"))

    def break_down(*args: object, **kwargs: object) -> None:
        Run.objects.filter(pk=runs[0].pk).update(current_step="nowhere")
        raise KeyError("oops")

    monkeypatch.setattr("workflows.services.commands.record", break_down)
    carry_on(operation, clock)
    assert operation.status == "halted"
    assert "KeyError" in operation.halted_because
    assert Run.objects.get(pk=runs[0].pk).current_step == "reserve"


def test_a_mistake_of_the_portal_halts_one_operation_and_not_the_driver(
    personas: Personas, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed_runs(1)
    operation = begin(personas.actor("operator"))

    def break_down(*args: Any) -> bool:
        raise ValueError("oops")

    monkeypatch.setattr(engine, "advance", break_down)
    assert driver.tick() == driver.POLL_SECONDS
    operation.refresh_from_db()
    assert operation.status == "halted"


def test_a_retry_in_bulk_runs_again_what_failed_or_fell_back(personas: Personas, clock: Clock) -> None:
    flows.behaviour["tell"] = refuse
    degraded = [drive.drive(drive.started(flows.order_flow)) for _ in range(2)]
    flows.behaviour.clear()
    drive.drive(drive.started(flows.order_flow))
    found = dry_run(personas.actor("operator"), select("retry", ""))
    assert found.does == {"Runs again from “Tell”": 2}
    assert found.left_out == {"The run is succeeded: no step of it is left without success": 1}
    operation = carry_on(begin(personas.actor("operator"), select("retry", "")), clock)
    assert operation.status == "done"
    assert statuses_of(degraded) == ["succeeded"] * 2
    assert [name for name, _, _ in flows.calls].count("pay") == 3


def test_what_is_degraded_again_after_a_retry_is_a_surprise(personas: Personas, clock: Clock) -> None:
    flows.behaviour["tell"] = refuse
    for _ in range(2):
        drive.drive(drive.started(flows.order_flow))
    operation = carry_on(begin(personas.actor("operator"), select("retry", "state=degraded")), clock)
    assert operation.status == "halted"
    assert operation.halted_because.endswith(": Degraded again.")


def test_a_rollback_in_bulk_settles_when_all_is_undone(personas: Personas, clock: Clock) -> None:
    runs = failed_runs(1)
    done = [drive.drive(drive.started(flows.order_flow)) for _ in range(2)]
    operation = carry_on(begin(personas.actor("operator"), select("rollback", "state=succeeded")), clock)
    assert operation.status == "done"
    assert statuses_of(done) == [RunStatus.ROLLED_BACK] * 2
    assert statuses_of(runs) == ["failed"]


def test_a_rollback_that_fails_halts(personas: Personas, clock: Clock) -> None:
    for _ in range(3):
        drive.drive(drive.started(flows.order_flow))
    flows.behaviour["unbook"] = refuse
    operation = carry_on(begin(personas.actor("operator"), select("rollback", "state=succeeded")), clock)
    assert operation.status == "halted"
    assert "could not be undone: The shop is closed today" in operation.halted_because
    assert statuses(operation) == ["done", "pending", "pending"]


@pytest.mark.parametrize("command", ["pause", "cancel"])
def test_stopping_in_bulk(personas: Personas, clock: Clock, command: str) -> None:
    runs = [drive.started(flows.order_flow) for _ in range(3)]
    operation = begin(personas.actor("operator"), select(command, "state=queued"))
    carry_on(operation, clock)
    assert operation.status == "done"
    assert set(statuses_of(runs)) == {"paused" if command == "pause" else "cancelled"}
