"""The generated past hangs together: what a run's row says, its events, steps, ledger and charges say too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models import F
from pytest_django import DjangoDbBlocker

from portal.core.actor import SYSTEM
from portal.core.audit import verify_chain
from portal.core.clock import now
from portal.demo.models import LedgerEntry, PastRecord
from portal.demo.queries.ledger import trial_balance
from portal.demo.retention.models import RetentionEntry
from portal.demo.sandbox.client import RunningSandbox
from portal.demo.services.history import tell_the_sandbox, write_history
from workflows.definition import registry
from workflows.definition.fan_out import FanOutStep
from workflows.engine.state import DONE_STEP_STATUSES, FINAL_RUN_STATUSES, RunStatus, StepStatus
from workflows.events import inbox, store
from workflows.events.queries import completeness
from workflows.events.services import replay_message
from workflows.models import (
    Attempt,
    BreakerEvent,
    DeadLetter,
    InboxMessage,
    OutboxMessage,
    Run,
    RunEvent,
    StepItem,
    StepRun,
)
from workflows.services.registration import register_workflows

DAYS = 12
Line = TypeVar("Line", StepRun, Attempt, RunEvent)
pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def past(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Twelve days of history, written once for the whole module and taken back after it."""
    with django_db_blocker.unblock(), transaction.atomic():
        register_workflows()
        write_history(days=DAYS)
        yield
        transaction.set_rollback(True)


def runs() -> list[Run]:
    return list(Run.objects.filter(is_demo=True).select_related("workflow"))


def by_run(rows: Iterable[Line]) -> dict[UUID, list[Line]]:
    found: defaultdict[UUID, list[Line]] = defaultdict(list)
    for row in rows:
        found[row.run_id].append(row)
    return found


def test_it_is_plentiful_and_in_the_past(past: None) -> None:
    assert len(runs()) > DAYS * 70
    assert not Run.objects.filter(created_at__gt=now()).exists()
    assert not RunEvent.objects.filter(at__gt=now()).exists()
    assert not Run.objects.filter(ended_at__lt=F("started_at")).exists()
    assert not Run.objects.filter(started_at__lt=F("created_at")).exists()


def test_events_are_numbered_without_gaps_and_in_order_of_time(past: None) -> None:
    events = by_run(RunEvent.objects.order_by("run_id", "number"))
    for run in runs():
        lines = events[run.id]
        assert [line.number for line in lines] == list(range(1, run.event_count + 1))
        assert [line.at for line in lines] == sorted(line.at for line in lines)
        assert lines[0].kind == "run.accepted"


def test_the_last_event_says_what_the_run_says(past: None) -> None:
    events = by_run(RunEvent.objects.order_by("run_id", "number"))
    for run in runs():
        last = events[run.id][-1]
        if run.status in FINAL_RUN_STATUSES:
            assert (last.kind, last.at) == (f"run.{run.status}", run.ended_at)
        else:
            assert run.status == RunStatus.PAUSED
            assert last.kind in {"run.paused", "step.uncertain"}


def test_steps_fit_the_runs_status_and_load_as_the_code_expects(past: None) -> None:
    steps = by_run(StepRun.objects.order_by("run_id", "position"))
    for run in runs():
        definition = registry.find(run.workflow.slug, run.version)
        assert definition is not None
        statuses = {row.step: row.status for row in steps[run.id]}
        if run.status == RunStatus.SUCCEEDED:
            assert set(statuses.values()) <= DONE_STEP_STATUSES
            assert len(statuses) == len(definition.plan.order)
        elif run.status == RunStatus.FAILED:
            assert statuses[run.current_step] == StepStatus.FAILED
            assert run.error
        for row in steps[run.id]:
            assert definition.plan.order[row.position].name == row.step
            step = definition.steps[row.step]
            if row.output is not None and not isinstance(step, FanOutStep):
                step.load(row.output)


def test_items_add_up_to_what_their_step_says_and_load_as_the_code_expects(past: None) -> None:
    items: defaultdict[tuple[UUID, str], list[StepItem]] = defaultdict(list)
    for item in StepItem.objects.order_by("run_id", "step", "index"):
        items[item.run_id, item.step].append(item)
    degraded = 0
    for run in runs():
        definition = registry.find(run.workflow.slug, run.version)
        assert definition is not None
        for row in StepRun.objects.filter(run=run, step__in=[step for of, step in items if of == run.id]):
            lines = items[run.id, row.step]
            summary, step = row.output, definition.steps[row.step]
            assert isinstance(step, FanOutStep)
            assert summary is not None
            assert [line.index for line in lines] == list(range(summary["total"]))
            for status in ("succeeded", "failed", "skipped"):
                assert sum(line.status == status for line in lines) == summary[status]
            assert [line.name for line in lines if line.status == "failed"] == summary["missing"]
            for line in lines:
                if line.status == "succeeded":
                    step.load_item(line.input)
                    step.load_given(line.output)
            assert bool(summary["failed"]) <= (run.status == RunStatus.DEGRADED)
            degraded += bool(summary["failed"])
    assert 0 < degraded < len(items) / 4


def test_each_item_is_booked_charged_and_archived_under_its_own_key(past: None) -> None:
    done = StepItem.objects.filter(status="succeeded")
    booked = {item.operation_key for item in done.filter(step="post_payment")}
    assert booked
    assert booked <= set(LedgerEntry.objects.values_list("operation_key", flat=True))
    outside = set(PastRecord.objects.values_list("operation_key", flat=True))
    assert {item.operation_key for item in done.filter(step__in=["charge_card", "copy_document"])} <= outside


def test_the_retention_registers_are_numbered_without_gaps(past: None) -> None:
    by_client: defaultdict[str, list[int]] = defaultdict(list)
    for entry in RetentionEntry.objects.order_by("client", "number"):
        by_client[entry.client].append(entry.number)
    assert by_client
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_client.values())


def test_events_were_acted_on_but_for_a_few_that_show_what_they_are_worth(past: None) -> None:
    acted = InboxMessage.objects.filter(status="handled")
    assert set(acted.values_list("kind", flat=True)) == {"start", "wait"}
    assert not acted.exclude(run__in=Run.objects.filter(is_demo=True)).exists()
    assert not OutboxMessage.objects.filter(routed_at=None).exists()
    gaps = {each.consumer: each for each in completeness(SYSTEM).subscriptions if each.gap}
    assert gaps["payment-receipt"].amounts == {"EUR": Decimal("17345.00")}
    assert 1 <= gaps["payment-confirmation.payment"].missing <= 6
    assert sum(gaps["payment-confirmation.payment"].amounts.values()) > 0


def test_a_dead_letter_of_the_past_can_be_mended_and_replayed(past: None) -> None:
    letter = DeadLetter.objects.filter(status="open").order_by("died_at").last()
    assert letter is not None
    assert letter.error["message"] == "A receipt cannot have this receipt_to. Correct it and replay."
    assert "accounts at" not in str(letter.error)
    payload = letter.payload | {"receipt_to": "accounts@quayside.example"}
    with transaction.atomic():
        replay_message(letter, payload=payload)
        taken = store.take(20, by="test", lease=60)
        for inbox_id, attempt in taken:
            inbox.handle(inbox_id, attempt)
        started = Run.objects.get(idempotency_key=f"event:{letter.message_id}")
        assert started.workflow.slug == "payment-receipt"
        transaction.set_rollback(True)


def test_tries_are_counted(past: None) -> None:
    attempts = by_run(Attempt.objects.order_by("id"))
    for run in runs():
        assert run.retry_count == sum(a.kind == Attempt.Kind.RUN for a in attempts[run.id])


def test_the_ledger_holds_each_posting_and_its_reversal(past: None) -> None:
    booked = StepRun.objects.filter(step__in=["post_to_ledger", "reserve_funds", "book_payout"])
    keys = {row.operation_key: row.status for row in booked.filter(attempts__gt=0).exclude(output=None)}
    entries = set(LedgerEntry.objects.values_list("operation_key", flat=True))
    assert keys.keys() <= entries
    undone = {f"{key}:undo" for key, status in keys.items() if status == StepStatus.COMPENSATED}
    assert undone == {key for key in entries if key.endswith(":undo")}
    assert sum(balance.amount for balance in trial_balance()) == Decimal(0)


def test_the_outside_world_knows_each_effect_once(past: None) -> None:
    effects = StepRun.objects.filter(step__in=["charge", "send_payout"]).exclude(output=None)
    items = StepItem.objects.filter(step="charge_card", status="succeeded")
    wanted = {row.output["id"] for row in effects if row.output}
    wanted |= {item.output["charge_id"] for item in items if item.output}
    known = set(PastRecord.objects.filter(collection__in=["charges", "payouts"]).values_list("id", flat=True))
    assert wanted <= known
    assert len(known - wanted) == 2  # the two whose answers were lost


def test_it_has_an_outage_that_ended(past: None) -> None:
    moves = list(BreakerEvent.objects.order_by("at").values_list("old", "new"))
    assert moves[0] == ("closed", "open")
    assert moves[-1] == ("half_open", "closed")
    assert RunEvent.objects.filter(kind="step.unavailable").count() > 30


def test_a_few_cases_wait_for_a_person(past: None) -> None:
    waiting = Run.objects.filter(is_demo=True, status__in=[RunStatus.FAILED, RunStatus.PAUSED])
    assert 6 <= waiting.count() <= 12
    assert StepRun.objects.filter(status=StepStatus.UNCERTAIN).count() == 2


def test_a_second_writing_adds_nothing(past: None) -> None:
    before = Run.objects.count()
    assert write_history(days=DAYS) == 0
    assert Run.objects.count() == before
    assert verify_chain().ok


def test_the_sandbox_is_told_once(past: None, sandbox: RunningSandbox) -> None:
    waiting = PastRecord.objects.count()
    charge = PastRecord.objects.filter(collection="charges").first()
    assert charge is not None
    assert tell_the_sandbox(sandbox.client) == waiting
    assert tell_the_sandbox(sandbox.client) == 0
    assert sandbox.client.records("charges").by_key[charge.operation_key] == (1, 1)
