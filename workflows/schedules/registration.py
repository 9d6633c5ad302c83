"""Bringing the table of schedules up to date with the code."""

from __future__ import annotations

from portal.core.clock import now
from workflows.definition import registry
from workflows.definition.schedule import Schedule as Declared
from workflows.models import Schedule, Workflow


def ensure_schedules(workflow: Workflow, definition: registry.Definition) -> None:
    """Write the schedules of a workflow's latest version, and retire those that are gone from it."""
    rows = {row.name: row for row in Schedule.objects.select_for_update().filter(workflow=workflow)}
    for declared in definition.schedules:
        known = rows.pop(declared.name) if declared.name in rows else Schedule(workflow=workflow, name=declared.name)
        _ensure(known, declared)
    for row in rows.values():
        if row.retired_at is None:
            row.retired_at, row.next_at = now(), None
            row.save(update_fields=["retired_at", "next_at"])


def _ensure(row: Schedule, declared: Declared) -> None:
    known = (row.cron, row.zone, row.catch_up, row.overlap, row.retired_at)
    if known == (declared.cron, declared.zone, declared.catch_up, declared.overlap, None):
        return
    if known[:2] != (declared.cron, declared.zone) or row.retired_at or row.next_at is None:
        row.next_at = declared.times.after(now())  # a new time is not one that was missed
    row.cron, row.zone, row.retired_at = declared.cron, declared.zone, None
    row.catch_up, row.overlap = declared.catch_up, declared.overlap
    row.save()


def declared_schedule(row: Schedule) -> Declared | None:
    """Return what the code says of a schedule (its ``workflow`` is selected); None if it does not know it."""
    try:
        definition = registry.find_latest(row.workflow.slug)
    except KeyError:
        return None
    return next((each for each in definition.schedules if each.name == row.name), None)
