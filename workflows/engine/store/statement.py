"""How the engine sends a statement to PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connection
from psycopg.rows import TupleRow


def run_sql(sql: str, parameters: dict[str, Any]) -> list[TupleRow]:
    """Run a statement on Django's connection, prepared and bound by the server; return its rows.

    A connection whose server went away fails once and is replaced for the next statement.

    :raises django.db.Error: as the ORM would.
    """
    raw = connection.connection
    if raw is not None and raw.closed and not connection.in_atomic_block:
        connection.close()
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(sql, parameters, prepare=True).fetchall()
