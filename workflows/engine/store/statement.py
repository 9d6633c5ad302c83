"""How the engine sends a statement to PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from psycopg.rows import TupleRow


def run_sql(sql: str, parameters: dict[str, Any]) -> list[TupleRow]:
    """Run a statement on Django's connection, prepared and bound by the server; return its rows.

    A connection whose server went away fails once and is replaced for the next statement.

    :raises django.db.Error: as the ORM would.
    """
    own = connections[DEFAULT_DB_ALIAS]  # looked up once: the proxy ``django.db.connection`` does so at each use
    if own.connection is None or own.connection.closed:
        if own.connection is not None and not own.in_atomic_block:
            own.close()
        own.ensure_connection()
    with own.wrap_database_errors, psycopg.Cursor(own.connection) as cursor:
        return cursor.execute(sql, parameters, prepare=True).fetchall()
