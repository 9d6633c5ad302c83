"""Bringing the tables up to date with the workflows in the code."""

from __future__ import annotations

from copy import copy

from django.db import transaction

from portal.core.actor import SYSTEM
from portal.core.audit import record
from portal.core.clock import now
from portal.core.models import Team
from workflows.definition import registry
from workflows.definition.describe import describe, digest
from workflows.dependencies.services import ensure_dependency
from workflows.engine import store
from workflows.events.checks import refuse_breaches
from workflows.models import Workflow, WorkflowVersion
from workflows.schedules.registration import ensure_schedules

_rows: dict[str, Workflow] = {}  # by name, as this process last read them


def register_workflows() -> list[Workflow]:
    """Write every workflow and version of the code to the tables, and retire those that are gone from it.

    :raises DefinitionError: if a definition has a mistake, or somebody cannot read an event that is emitted.
    """
    registry.check_all()
    refuse_breaches()
    rows = [ensure_workflow(definition) for definition in registry.registered()]
    for definition in registry.every_version():
        _ensure_version(definition)
    gone = Workflow.objects.exclude(slug__in=[row.slug for row in rows]).filter(retired_at=None)
    gone.update(retired_at=now())
    return rows


def registered_workflow(definition: registry.Definition) -> Workflow:
    """Return the workflow's row with its team, written first if it is new to the tables.

    Each start of a run asks, so the row is read once a process; only what may change is read each time.
    """
    state = store.workflow_state(definition.name)
    known = _rows.get(definition.name)
    if known and state and state[:2] == (known.pk, known.team_id) and state[2] >= definition.version:
        row = copy(known)
        row.latest_version, row.paused_at = state[2], state[3]
        return row
    found = Workflow.objects.select_related("team").filter(slug=definition.name).first()
    if found is None or found.latest_version < definition.version:
        found = ensure_workflow(definition)
        _ensure_version(definition)
    _rows[definition.name] = found
    return copy(found)


def known_workflow(definition: registry.Definition) -> Workflow | None:
    """Return the workflow's row as this process last read it, which may be a while ago; not to be changed."""
    return _rows.get(definition.name)


@transaction.atomic
def ensure_workflow(definition: registry.Definition) -> Workflow:
    """Return the workflow's row, made or brought up to date, with its team and dependencies."""
    team, _ = Team.objects.get_or_create(
        slug=definition.owner, defaults={"name": definition.owner.replace("-", " ").capitalize()}
    )
    declared = {
        "title": definition.title,
        "description": definition.description,
        "team": team,
        "tier": definition.tier,
        "latest_version": definition.version,
        "success_target": definition.objective.success,
        "within": definition.objective.within,
        "runbook": definition.runbook,
        "retired_at": None,
    }
    row, _ = Workflow.objects.update_or_create(
        slug=definition.name, defaults=declared, create_defaults=declared | {"registered_at": now()}
    )
    for dependency in definition.dependencies:
        ensure_dependency(dependency)
    ensure_schedules(row, definition)
    return row


@transaction.atomic
def _ensure_version(definition: registry.Definition) -> None:
    described = describe(definition)
    sealed = digest(described)
    workflow = Workflow.objects.get(slug=definition.name)
    version, created = WorkflowVersion.objects.get_or_create(
        workflow=workflow,
        number=definition.version,
        defaults={"definition": described, "digest": sealed, "first_seen_at": now()},
    )
    if created or version.digest == sealed:
        return
    before, version.definition, version.digest = version.digest, described, sealed
    version.save(update_fields=["definition", "digest"])
    record(
        actor=SYSTEM,
        action="workflows.version.change",
        obj=workflow,
        reason=f"Version {version.number} was changed in the code without a new number",
        before={"version": version.number, "digest": before},
        after={"version": version.number, "digest": sealed},
    )
