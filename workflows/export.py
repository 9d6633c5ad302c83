"""A list of runs as CSV."""

from __future__ import annotations

import csv
import io

from django.db.models import QuerySet

from workflows.models import Run

EXPORT_LIMIT = 10_000
_COLUMNS = {
    "run": "id",
    "workflow": "workflow__slug",
    "version": "version",
    "status": "status",
    "waiting_reason": "waiting_reason",
    "waiting_on": "waiting_on",
    "step": "current_step",
    "customer": "customer_key",
    "amount": "amount",
    "currency": "currency",
    "retries": "retry_count",
    "created_at": "created_at",
    "started_at": "started_at",
    "ended_at": "ended_at",
    "due_at": "due_at",
    "started_by": "started_by",
    "idempotency_key": "idempotency_key",
    "correlation_id": "correlation_id",
}


def runs_as_csv(runs: QuerySet[Run]) -> tuple[str, int]:
    """Return the newest ``EXPORT_LIMIT`` of ``runs`` as CSV with a header, and how many they are.

    Times are UTC in ISO 8601. A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    count = 0
    for row in runs.order_by("-id").values_list(*_COLUMNS.values())[:EXPORT_LIMIT]:
        writer.writerow([_cell(value) for value in row])
        count += 1
    return file.getvalue(), count


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in "=+-@\t\r" and text else text
