"""A worker keeps its database connection from run to run, and leaves one whose server went away."""

from __future__ import annotations

import pytest
from django.db import OperationalError, ProgrammingError, connection, connections

from workflows.engine.store.statement import run_sql

pytestmark = pytest.mark.django_db(transaction=True)


def cut_connection() -> None:
    """End this connection's server process from another connection, as a restart of the database would."""
    pid = connection.connection.info.backend_pid
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


def test_a_lost_connection_fails_once_and_is_replaced() -> None:
    assert run_sql("SELECT 1", {}) == [(1,)]
    cut_connection()
    with pytest.raises(OperationalError):
        run_sql("SELECT 1", {})
    assert run_sql("SELECT 1", {}) == [(1,)]


def test_an_error_is_one_that_django_code_catches() -> None:
    with pytest.raises(ProgrammingError):
        run_sql("SELECT no_such_column", {})
    assert run_sql("SELECT 1", {}) == [(1,)]
