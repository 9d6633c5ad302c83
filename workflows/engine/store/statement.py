"""How the engine sends a statement to PostgreSQL."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connection
from psycopg.rows import TupleRow


def run_sql(sql: str, parameters: dict[str, Any]) -> list[TupleRow]:
    """Run a statement on Django's connection, prepared and bound by the server; return its rows."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(sql, parameters, prepare=True).fetchall()
