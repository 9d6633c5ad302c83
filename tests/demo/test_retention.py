"""Closed matters: what keeps to the contract is archived, registered and counted; what does not is named."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Any

import httpx
import pytest
from django.db import transaction

from portal.core.actor import SYSTEM
from portal.demo.retention import traffic
from portal.demo.retention.contract import StoredDocument
from portal.demo.retention.flows import (
    ClosedMatter,
    DueDocument,
    Held,
    Registered,
    compare_counts,
    document_retention_sync,
)
from portal.demo.retention.models import RetentionEntry
from portal.demo.retention.register import ArchivedCopy
from portal.demo.retention.traffic import RetentionTraffic
from portal.demo.sandbox.client import RunningSandbox
from portal.demo.services.traffic import ACTOR
from workflows import BusinessRuleViolation
from workflows.dependencies import guard
from workflows.engine import store
from workflows.models import LockTicket, Run, StepItem, StepRun
from workflows.services import register_workflows, resume_run
from workflows.services.available import available_command
from workflows.testing import run_now, take_on, undo_now

pytestmark = pytest.mark.django_db(transaction=True)
CLIENT = "quayside-dental"
_numbers = iter(range(1, 1000))


@pytest.fixture(autouse=True)
def _registered(sandbox: RunningSandbox) -> None:
    guard.reset()
    register_workflows()


def file_matter(sandbox: RunningSandbox, *years: int | None) -> ClosedMatter:
    """File a document for each number of years; returns the matter."""
    matter = f"M-2025-{next(_numbers):06}"  # the generated history has others
    for number, kept in enumerate(years, 1):
        document = {
            "reference": f"{matter}-{number:02}",
            "client": CLIENT,
            "matter": matter,
            "title": f"Letter {number}",
            "closed_on": "2026-11-19",
            "retention_years": kept,
            "text": "Dear client",
        }
        httpx.post(f"{sandbox.client.url}/documents/files", json=document).raise_for_status()
    return ClosedMatter(client_id=CLIENT, matter=matter)


def copies_of(sandbox: RunningSandbox, matter: ClosedMatter) -> list[dict[str, Any]]:
    records = sandbox.client.records("copies").records
    return sorted((r for r in records if r["matter"] == matter.matter), key=lambda record: record["reference"])


def register() -> list[tuple[int, str]]:
    entries = RetentionEntry.objects.filter(client=CLIENT, withdrawn_at=None)
    return list(entries.values_list("number", "reference"))


def test_each_document_is_archived_and_registered_once_however_often_it_is_synced(sandbox: RunningSandbox) -> None:
    matter = file_matter(sandbox, 6, 10, 15)
    first, again = run_now(document_retention_sync, matter), run_now(document_retention_sync, matter)
    assert (first.status, again.status) == ("succeeded", "succeeded")
    copies = copies_of(sandbox, matter)
    assert [copy["keep_until"] for copy in copies] == ["2032-11-19", "2036-11-19", "2041-11-19"]
    assert register() == [(number, copy["reference"]) for number, copy in enumerate(copies, 1)]
    assert again.output == {"due": 3, "copied": 3, "registered": 3, "left_out": []}


def test_a_document_that_breaks_the_contract_is_left_out_and_named_with_its_field(sandbox: RunningSandbox) -> None:
    matter = file_matter(sandbox, 6, None, 10)
    run = run_now(document_retention_sync, matter)
    assert run.status == "degraded"
    refused = StepItem.objects.get(run=run, step="read_document", status="failed")
    assert refused.error is not None
    assert f"{matter.matter}-02 breaks the document store's contract. retention_years:" in refused.error["message"]
    assert refused.error["context"] == {"document": refused.name, "fields": "retention_years"}
    assert len(copies_of(sandbox, matter)) == len(register()) == 2
    resume = available_command(SYSTEM, run, StepRun.objects.filter(run=run), "resume")
    assert resume.unmet == [
        '"register_retention" is committed with what there was; doing it again would do it twice. Roll back first'
    ]
    assert run.output is not None
    assert run.output["left_out"] == [f"{matter.matter}-02"]


def test_a_matter_that_nobody_knows_is_not_taken_for_an_empty_one() -> None:
    run = run_now(document_retention_sync, ClosedMatter(client_id=CLIENT, matter="M-2025-999999"))
    assert run.status == "failed"
    assert run.error is not None
    assert "has nothing of M-2025-999999" in run.error["message"]


def test_a_new_schema_at_the_source_stops_the_run_before_anything_is_archived(sandbox: RunningSandbox) -> None:
    matter = file_matter(sandbox, 6, 7, 10, 15)
    sandbox.client.set_fault("documents", "renamed")
    run = run_now(document_retention_sync, matter)
    assert (run.status, run.current_step) == ("failed", "read_document")
    failed = StepItem.objects.filter(run=run, status="failed").first()
    assert failed is not None
    assert failed.error is not None
    assert failed.error["context"]["fields"] == "closed_on, retention_years"
    assert copies_of(sandbox, matter) == []
    sandbox.client.set_fault("documents")
    resume_run(actor=SYSTEM, run_id=run.pk, reason="The old names are back")
    assert take_on(run).status == "succeeded"
    assert len(copies_of(sandbox, matter)) == 4


def test_answers_of_the_archive_that_break_off_leave_one_copy_each(sandbox: RunningSandbox) -> None:
    matter = file_matter(sandbox, 6, 7, 10)
    sandbox.client.set_fault("archive", "half_response", times=2)
    assert run_now(document_retention_sync, matter).status == "succeeded"
    assert len(copies_of(sandbox, matter)) == 3


def test_two_matters_of_one_client_take_turns_at_its_register(sandbox: RunningSandbox) -> None:
    other = document_retention_sync.start(file_matter(sandbox, 6)).run
    key = f"retention:{CLIENT}"
    Run.objects.filter(pk=other.pk).update(status="running")
    token = store.take_lock(key, other.pk, "register_retention")
    assert token is not None
    run = document_retention_sync.start(file_matter(sandbox, 7, 7)).run
    with pytest.raises(AssertionError, match="still waits"):
        take_on(run, rounds=6)
    assert [ticket.run for ticket in LockTicket.objects.filter(lock=key)] == [run]
    assert register() == []
    with transaction.atomic():
        store.give_back(key, other.pk, token)
    assert take_on(run).status == "succeeded"
    assert [number for number, _ in register()] == [1, 2]


def test_a_rollback_withdraws_the_entries_and_their_numbers_stay_taken(sandbox: RunningSandbox) -> None:
    matter = file_matter(sandbox, 6, 7)
    run = run_now(document_retention_sync, matter)
    assert undo_now(run).status == "rolled_back"
    assert register() == []
    assert run_now(document_retention_sync, matter).status == "succeeded"
    assert [number for number, _ in register()] == [3, 4]


def test_what_was_copied_and_is_not_in_the_archive_is_told_with_numbers() -> None:
    due = [DueDocument(reference=f"M-2026-000001-{number:02}") for number in (1, 2)]
    copies = [
        ArchivedCopy(
            archive_id="ar_1",
            reference=each.reference,
            client=CLIENT,
            matter="M-2026-000001",
            title="Letter",
            keep_until=date(2032, 1, 1),
        )
        for each in due
    ]
    with pytest.raises(BusinessRuleViolation, match=r"2 documents are due and 2 were copied.* holds 1 .*-02\.$"):
        compare_counts(due, [*copies], Registered(entries=2, new=2), Held(references=[due[0].reference]))


def test_a_matter_that_was_closed_on_a_leap_day_is_kept_to_the_28th() -> None:
    papers = StoredDocument(
        reference="r",
        client=CLIENT,
        matter="m",
        title="t",
        closed_on=date(2024, 2, 29),
        retention_years=7,
        text="",
    )
    assert papers.keep_until == date(2031, 2, 28)


def test_the_live_traffic_closes_matters(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "SHARE", 1.0)
    monkeypatch.setattr(traffic, "TWO_AT_ONCE", 1.0)
    RetentionTraffic(Random(4)).turn(ACTOR)  # noqa: S311
    runs = Run.objects.filter(workflow__slug=document_retention_sync.name)
    assert runs.values("input__client_id").distinct().count() == 1
    assert runs.count() == 2
    for run in runs:
        assert take_on(run).status in {"succeeded", "degraded"}
        assert StepRun.objects.get(run=run, step="compare_counts").status == "succeeded"
