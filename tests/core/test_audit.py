"""The audit trail: nobody changes it unnoticed, not even through the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from portal.core.actor import SYSTEM
from portal.core.audit import check_and_note, record, verify_chain
from portal.core.correlation import correlated
from portal.core.models import AuditEntry, AuditHead
from tests.factories import make_team

pytestmark = pytest.mark.django_db


def write(count: int = 1) -> list[AuditEntry]:
    return [
        record(
            actor=SYSTEM,
            action="tests.entry.write",
            object_type="thing",
            object_id=str(number),
            reason="because the test says so",
            before={"amount": 1e22, "share": 0.1, "nothing": None},
            after={"amount": -0.0, "words": "Zoë — 法", "on": True, "list": [1, {"a": 2.50}]},
        )
        for number in range(count)
    ]


@contextmanager
def trigger_disabled() -> Iterator[None]:
    """What somebody could do who owns the table."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_auditentry DISABLE TRIGGER core_auditentry_is_append_only")
        yield
        cursor.execute("ALTER TABLE core_auditentry ENABLE TRIGGER core_auditentry_is_append_only")


def test_an_entry_says_who_did_what_to_which_object() -> None:
    team = make_team()
    with correlated("order-17"):
        entry = record(actor=SYSTEM, action="core.team.made", obj=team, after={"name": team.name})
    assert (entry.object_type, entry.object_id, entry.object_label) == ("team", str(team.pk), team.name)
    assert (entry.actor_kind, entry.actor_label, entry.correlation_id) == ("system", "Evenkeel", "order-17")
    assert (entry.sequence, entry.result) == (1, "done")


def test_an_untouched_chain_verifies_whatever_the_values() -> None:
    last = write(5)[-1]
    report = verify_chain()
    assert (report.ok, report.entries, report.head_at) == (True, 5, last.at)


def test_an_empty_chain_verifies() -> None:
    assert verify_chain().ok


def test_an_entry_shares_the_fate_of_the_change_that_it_tells_of() -> None:
    write()
    with transaction.atomic():
        write()
        transaction.set_rollback(True)
    assert AuditEntry.objects.count() == 1
    assert write()[0].sequence == 2
    assert verify_chain().ok


def test_secrets_do_not_enter_the_trail() -> None:
    entry = record(actor=SYSTEM, action="tests.entry.write", after={"api_key": "hunter2", "name": "ci"})
    assert entry.after == {"api_key": "[hidden]", "name": "ci"}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE core_auditentry SET reason = 'something else'",
        "DELETE FROM core_auditentry",
        "TRUNCATE core_auditentry CASCADE",
    ],
)
def test_the_database_refuses_changes_by_raw_sql(sql: str) -> None:
    write(2)
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        cursor.execute(sql)
    assert AuditEntry.objects.count() == 2


def test_the_database_refuses_changes_through_the_orm() -> None:
    (entry,) = write()
    for change in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def change_a_reason() -> None:
    AuditEntry.objects.filter(sequence=3).update(reason="another one, ten characters")


def change_a_value() -> None:
    AuditEntry.objects.filter(sequence=3).update(after={"on": False})


def take_one_out() -> None:
    AuditEntry.objects.filter(sequence=3).delete()


def take_one_out_and_close_the_gap() -> None:
    take_one_out()
    for entry in AuditEntry.objects.filter(sequence__gt=3).order_by("sequence"):
        AuditEntry.objects.filter(pk=entry.pk).update(sequence=entry.sequence - 1)
    AuditHead.objects.update(sequence=4)


@pytest.mark.parametrize("tamper", [change_a_reason, change_a_value, take_one_out, take_one_out_and_close_the_gap])
def test_tampering_is_found_with_its_position(tamper: Callable[[], None]) -> None:
    write(5)
    with trigger_disabled():
        tamper()
    report = verify_chain()
    assert (report.ok, report.broken_at) == (False, 3)


def test_resealing_needs_the_key_that_the_database_does_not_hold(settings: Settings) -> None:
    settings.SECRET_KEY, kept = "x" * 50, settings.SECRET_KEY
    write(2)
    settings.SECRET_KEY = kept
    assert verify_chain().broken_at == 1
    settings.SECRET_KEY_FALLBACKS = ["x" * 50]  # a rotated key still proves what it sealed
    write(1)
    assert verify_chain().ok


def test_entries_cut_off_the_end_are_missed_by_the_head_or_by_the_published_one() -> None:
    *_, fourth, last = write(5)
    with trigger_disabled():
        AuditEntry.objects.filter(sequence=5).delete()
        assert verify_chain().broken_at == 5
        AuditHead.objects.update(sequence=4, digest=fourth.digest)
    assert verify_chain().ok
    assert check_and_note(expected=(5, bytes(last.digest).hex())).broken_at == 5


def test_the_command_tells_the_position_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    write(3)
    call_command("verify_audit")
    assert "intact: 3 entries" in capsys.readouterr().out
    with trigger_disabled():
        change_a_reason()
    with pytest.raises(SystemExit) as exit_:
        call_command("verify_audit")
    assert exit_.value.code == 1
    assert "broken at entry 3: entry 3 was changed" in capsys.readouterr().err
    assert AuditHead.objects.get().broken_at == 3


@pytest.mark.django_db(transaction=True)
def test_concurrent_writers_keep_one_chain() -> None:
    def writer() -> None:
        try:
            write(10)
        finally:
            connection.close()

    threads = [threading.Thread(target=writer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify_chain()
    assert (report.ok, report.entries) == (True, 60)


@pytest.mark.django_db(transaction=True)
def test_every_head_is_published_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        (entry,) = write()
    assert f"'digest': '{bytes(entry.digest).hex()}'" in caplog.text
