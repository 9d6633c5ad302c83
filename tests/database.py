"""What transactional tests need of the database, those of authors' apps too. Loaded with ``-p tests.database``."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import TransactionTestCase


@pytest.fixture(autouse=True, scope="session")
def _flush_past_the_audit_trail() -> None:
    """Let the flush after a transactional test empty the audit table, which refuses that of everybody.

    As the table's owner it takes the trigger away for the flush; the portal itself never does.
    """
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def flush_without_the_trigger(case: TransactionTestCase) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE core_auditentry DISABLE TRIGGER core_auditentry_is_append_only")
            try:
                flush(case)
            finally:
                cursor.execute("ALTER TABLE core_auditentry ENABLE TRIGGER core_auditentry_is_append_only")

    TransactionTestCase._fixture_teardown = flush_without_the_trigger  # type: ignore[attr-defined]
