"""Recurring work is done by one process of the fleet, and again when it is due."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from portal.core.actor import SYSTEM
from portal.core.audit import record
from portal.core.chores import start_due_chores
from portal.core.models import AuditHead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_started_yet() -> Iterator[None]:
    cache.delete("chore:verify-audit")
    yield
    cache.delete("chore:verify-audit")


def test_the_audit_chain_is_verified_once_a_day_by_whoever_is_first() -> None:
    record(actor=SYSTEM, action="tests.entry.write")
    (thread,) = start_due_chores()
    assert start_due_chores() == []
    thread.join(timeout=10)
    head = AuditHead.objects.get()
    assert (head.verified_sequence, head.broken_at) == (1, None)
    assert head.verified_at is not None
