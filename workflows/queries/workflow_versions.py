"""Which versions a workflow had, what each changed, and which of them still have runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest

from django.db.models import Count, Q

from portal.core import clock
from portal.core.models import AuditEntry
from workflows.engine.state import FINAL_RUN_STATUSES
from workflows.models import Run, Workflow, WorkflowVersion
from workflows.version_diff import version_changes

WITHIN = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class DigestChange:
    """A version's code changed without a new number."""

    at: datetime
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version. ``changes`` is None for the first; ``runs`` counts four weeks."""

    row: WorkflowVersion
    changes: Sequence[str] | None
    runs: int
    unfinished: int
    redefined: Sequence[DigestChange]

    @property
    def short_digest(self) -> str:
        return self.row.digest[:12]


def workflow_versions(workflow: Workflow) -> list[VersionView]:
    """Return the versions of ``workflow``, the latest first. Three queries."""
    versions = list(WorkflowVersion.objects.filter(workflow=workflow).order_by("-number"))
    counts = {
        row["version"]: row
        for row in Run.objects.filter(
            Q(created_at__gt=clock.now() - WITHIN) | ~Q(status__in=FINAL_RUN_STATUSES), workflow=workflow
        )
        .order_by()
        .values("version")
        .annotate(runs=Count("pk"), unfinished=Count("pk", filter=~Q(status__in=FINAL_RUN_STATUSES)))
    }
    redefined = _digest_changes(workflow)
    nothing = {"runs": 0, "unfinished": 0}
    return [
        VersionView(
            row=row,
            changes=version_changes(before.definition, row.definition) if before else None,
            runs=counts.get(row.number, nothing)["runs"],
            unfinished=counts.get(row.number, nothing)["unfinished"],
            redefined=[change for number, change in redefined if number == row.number],
        )
        for row, before in zip_longest(versions, versions[1:])
    ]


def _digest_changes(workflow: Workflow) -> list[tuple[int, DigestChange]]:
    entries = AuditEntry.objects.filter(
        object_type="workflow", object_id=str(workflow.pk), action="workflows.version.change"
    )
    return [
        (entry.after["version"], DigestChange(entry.at, entry.before["digest"][:12], entry.after["digest"][:12]))
        for entry in entries
        if entry.before and entry.after
    ]
