"""The audit trail in the browser: filters, permalinks, the chain's badge, the export."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from portal.core.actor import SYSTEM
from portal.core.audit import check_and_note, record
from portal.core.models import AuditEntry
from tests.core.test_audit import trigger_disabled
from tests.personas import Personas

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(personas: Personas) -> Client:
    return personas.client("manager")


def write(personas: Personas, count: int = 3) -> list[AuditEntry]:
    return [
        record(
            actor=personas.actor("operator"),
            action="core.role.grant" if number % 2 else "workflows.run.resume",
            object_type="thing",
            object_id=str(number),
            object_label=f"Thing {number}",
            reason=f"=reason {number} of them",
            before={"state": "failed"},
            after={"state": "queued", "at": {"step": number}},
        )
        for number in range(count)
    ]


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_the_list_says_who_did_what_and_why(
    personas: Personas, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    write(personas, 60)
    with django_assert_max_num_queries(12):
        page = text(client.get("/audit/"))
    assert "Thing 59" in page
    assert "Thing 9<" not in page  # on the next page
    assert "Grant role" in page
    assert "=reason 59 of them" in page
    assert f"Verified to entry {AuditEntry.objects.count()}" in page


def test_filters_are_in_the_address_and_each_can_be_removed(personas: Personas, client: Client) -> None:
    write(personas, 4)
    page = text(client.get("/audit/?action=core.role&q=Thing+1&object_type=thing"))
    assert ">Thing 1<" in page
    assert "Thing 3<" not in page
    assert 'href="/audit/?q=Thing+1&amp;object_type=thing"' in page
    assert '<input type="hidden" name="object_type" value="thing"' in page
    tomorrow = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    assert "No entry matches" in text(client.get(f"/audit/?since={tomorrow}"))


def test_older_and_newer_keep_the_filters(personas: Personas, client: Client) -> None:
    write(personas, 110)
    first = text(client.get("/audit/?action=core.role.grant", headers={"HX-Request": "true"}))
    assert "<html" not in first
    older = first.partition("action=core.role.grant&amp;before=")[2].partition('"')[0]
    second = text(client.get(f"/audit/?action=core.role.grant&before={older}"))
    assert ">Thing 1<" in second
    assert "&amp;after=" in second


def test_an_entry_has_a_permalink_with_what_changed(
    personas: Personas, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    entry = write(personas)[-1]
    with django_assert_max_num_queries(12):
        page = text(client.get(f"/audit/{entry.id}/"))
    assert "Resume run: Thing 2" in page
    assert "at.step" in page
    assert bytes(entry.digest).hex() in page
    assert client.get("/audit/00000000-0000-7000-8000-000000000000/").status_code == 404


def test_a_broken_chain_is_shown_on_the_list_and_on_the_entry(personas: Personas, client: Client) -> None:
    write(personas, 3)
    entry = AuditEntry.objects.order_by("sequence")[1]
    with trigger_disabled():
        AuditEntry.objects.filter(pk=entry.pk).update(reason="quite another one")
    assert f"Broken at entry {entry.sequence}" in text(client.get("/audit/"))
    assert "changed after it was written" in text(client.get(f"/audit/{entry.id}/"))
    answer = client.post("/audit/verify/", follow=True)
    assert f"The chain is broken at entry {entry.sequence}" in text(answer)


def test_the_badge_says_what_no_check_has_reached(
    personas: Personas, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.core.queries.audit.TAIL", 2)
    check_and_note()
    write(personas, 5)
    assert "newer wait for the next full check" in text(client.get("/audit/"))
    assert "The chain is intact" in text(client.post("/audit/verify/", follow=True))
    assert "newer wait" not in text(client.get("/audit/"))


def test_an_export_holds_what_matches_and_is_itself_recorded(personas: Personas, client: Client) -> None:
    write(personas, 4)
    answer = client.post("/audit/export/?action=core.role.grant", {"format": "jsonl"})
    lines = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]  # type: ignore[attr-defined]
    assert [line["object_id"] for line in lines] == ["1", "3"]
    assert len(lines[0]["digest"]) == 64
    assert "attachment" in answer["Content-Disposition"]
    entry = AuditEntry.objects.latest("sequence")
    assert (entry.action, entry.actor_label) == ("core.audit.export", "Manager")
    assert entry.after == {"format": "jsonl", "filter": {"action": "core.role.grant"}}


def test_a_spreadsheet_does_not_run_what_somebody_typed(personas: Personas, client: Client) -> None:
    write(personas, 1)
    answer = client.post("/audit/export/", {"format": "csv"})
    body = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert body.startswith("sequence,id,at,")
    assert "'=reason 0 of them" in body


def test_who_may_read_the_trail_may_not_always_take_it_along(personas: Personas) -> None:
    record(actor=SYSTEM, action="tests.entry.write")
    operator = personas.client("operator")
    assert "JSON lines" not in text(operator.get("/audit/"))
    assert operator.post("/audit/export/", {"format": "csv"}).status_code == 403
    assert personas.client("support").get("/audit/").status_code == 403
