"""Which of the portal's own processes live."""

from __future__ import annotations

import json

from workflows.engine.store.statement import run_sql


def beat(name: str, kind: str, queues: list[str]) -> None:
    """Note that this process lives."""
    run_sql(
        "INSERT INTO workflows_heartbeat (name, kind, queues, started_at, seen_at)"
        " VALUES (%(name)s, %(kind)s, %(queues)s::jsonb, clock_timestamp(), clock_timestamp())"
        " ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at RETURNING 1",
        {"name": name, "kind": kind, "queues": json.dumps(queues)},
    )


def forget_silent(seconds: float) -> None:
    """Drop the heartbeats of processes that have been silent for this long."""
    run_sql(
        "DELETE FROM workflows_heartbeat WHERE seen_at < clock_timestamp() - %(seconds)s::float * interval '1 second'"
        " RETURNING 1",
        {"seconds": seconds},
    )
