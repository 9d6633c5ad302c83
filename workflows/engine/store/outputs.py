"""The last good outputs of steps that fall back on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from workflows.engine.store.statement import run_sql

# What has become too old goes a few at a time, with each new one.
_KEEP = """
WITH old AS (
    DELETE FROM workflows_keptoutput WHERE id IN (
        SELECT id FROM workflows_keptoutput
        WHERE workflow = %(workflow)s::text AND step = %(step)s::text
          AND at < clock_timestamp() - %(seconds)s::float * interval '1 second' AND key <> %(key)s::text
        ORDER BY at LIMIT 20 FOR UPDATE SKIP LOCKED)
)
INSERT INTO workflows_keptoutput (workflow, step, key, output, at)
VALUES (%(workflow)s::text, %(step)s::text, %(key)s::text, %(output)s::jsonb, clock_timestamp())
ON CONFLICT (workflow, step, key) DO UPDATE SET output = excluded.output, at = excluded.at
RETURNING 1
"""

_KEPT = """
SELECT output::text, extract(epoch FROM clock_timestamp() - at)::float FROM workflows_keptoutput
WHERE workflow = %(workflow)s::text AND step = %(step)s::text AND key = %(key)s::text
  AND at >= clock_timestamp() - %(seconds)s::float * interval '1 second'
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An output as plain JSON values, and how old it is."""

    output: Any
    age_seconds: float


def keep_output(workflow: str, step: str, key: str, output: Any, seconds: float) -> None:
    """Keep the output of a step under what it depends on; forget some of those older than ``seconds``."""
    values = {"workflow": workflow, "step": step, "key": key, "output": json.dumps(output), "seconds": seconds}
    run_sql(_KEEP, values)


def kept_output(workflow: str, step: str, key: str, seconds: float) -> Kept | None:
    """Return what was kept, unless it is older than ``seconds``."""
    rows = run_sql(_KEPT, {"workflow": workflow, "step": step, "key": key, "seconds": seconds})
    return Kept(json.loads(rows[0][0]), rows[0][1]) if rows else None
