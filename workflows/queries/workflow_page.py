"""What the page of one workflow shows: its health, its map and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from portal.core.access import authorise, may, within_reach
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.engine.state import RunStatus
from workflows.models import Dependency, Run, Workflow, WorkflowVersion
from workflows.queries.activity import last_day, last_month
from workflows.queries.catalogue import WorkflowRow, definition_of, workflow_rows
from workflows.queries.concerns import RunGroup, run_groups
from workflows.queries.fleet import Fleet, fleet
from workflows.queries.live_map import LiveMap, live_map

Json = Mapping[str, Any]


@dataclass(frozen=True)
class WorkflowPage:
    """One workflow as its page shows it."""

    row: WorkflowRow
    definition: Json
    groups: Sequence[RunGroup]
    dependencies: Sequence[Dependency]
    fleet: Fleet

    @cached_property
    def map(self) -> LiveMap:
        """The map with the runs that are in it now."""
        return live_map(self.definition, self.groups, self.dependencies)


@dataclass(frozen=True, slots=True)
class WorkflowRights:
    """What somebody may do with a workflow."""

    start: bool
    pause: bool


def access_workflow(actor: Actor, slug: str, *, permission: Permission = Permission.VIEW_WORKFLOW) -> Workflow:
    """Return the workflow with its team, its ``definition`` and ``last_run_at``. One query.

    :raises NotFound: if there is no such workflow, or none that the actor may see.
    :raises Forbidden: if the actor may see it but not do that.
    """
    latest = WorkflowVersion.objects.filter(workflow=OuterRef("pk"), number=OuterRef("latest_version"))
    last_run = Run.objects.filter(workflow=OuterRef("pk")).order_by("-id").values("created_at")[:1]
    found = Workflow.objects.select_related("team", "paused_by").annotate(
        definition=Subquery(latest.values("definition")[:1]), last_run_at=Subquery(last_run)
    )
    workflow = found.filter(slug=slug).first()
    if workflow is None:
        raise NotFound("There is no such workflow, or none that you may see.")
    authorise(actor, permission, workflow)
    return workflow


def workflow_page(actor: Actor, workflow: Workflow) -> WorkflowPage:
    """Return what the page of ``workflow`` (from ``access_workflow``) shows. Five queries."""
    definition = definition_of(workflow)
    mine = Q(workflow=workflow) & within_reach(actor, Permission.VIEW_RUN)
    groups, alive = run_groups(mine), fleet()
    return WorkflowPage(
        row=workflow_rows([workflow], groups, last_day(mine), last_month(mine), alive)[0],
        definition=definition,
        groups=groups,
        dependencies=_dependencies(definition),
        fleet=alive,
    )


def workflow_map(actor: Actor, workflow: Workflow) -> LiveMap:
    """Return the map of ``workflow`` (from ``access_workflow``) with the runs in it. Two queries."""
    definition = definition_of(workflow)
    groups = run_groups(Q(workflow=workflow) & within_reach(actor, Permission.VIEW_RUN))
    return live_map(definition, groups, _dependencies(definition))


def _dependencies(definition: Json) -> list[Dependency]:
    names = [dependency["name"] for dependency in definition["dependencies"]]
    return list(Dependency.objects.filter(name__in=names))


def held_runs(workflow: Workflow) -> int:
    """Return how many runs are accepted and held. One query."""
    return Run.objects.filter(workflow=workflow, status=RunStatus.SCHEDULED).count()


def rights_on(actor: Actor, workflow: Workflow) -> WorkflowRights:
    """Return what ``actor`` may do with ``workflow``. No query once the actor's rights are known."""
    return WorkflowRights(
        start=may(actor, Permission.START_RUN, workflow), pause=may(actor, Permission.PAUSE_WORKFLOW, workflow)
    )
