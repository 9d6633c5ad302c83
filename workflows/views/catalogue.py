"""Pages that show workflows: the list, and one workflow with its map, history and versions."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from portal.core.actor import actor_of
from portal.core.htmx import render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.queries.catalogue import catalogue
from workflows.queries.workflow_history import workflow_history
from workflows.queries.workflow_page import access_workflow, rights_on, workflow_map, workflow_page
from workflows.queries.workflow_versions import workflow_versions
from workflows.schedules.queries import schedules_of


@dataclass(frozen=True, slots=True)
class Column:
    """A heading of the list: what a click sorts by. ``order`` is "" or the value of ``aria-sort``."""

    title: str
    url: str
    order: str = ""
    is_number: bool = False

    @property
    def icon(self) -> str:
        return "arrow-up" if self.order == "ascending" else "arrow-down"


# Title, what it sorts by ("" for not at all), whether the first click puts the largest first, whether numbers.
_COLUMNS: tuple[tuple[str, str, bool, bool], ...] = (
    ("Workflow", "name", False, False),
    ("State", "state", True, False),
    ("Last 24 hours", "", False, False),
    ("Ended well", "success", False, True),
    ("95 of 100 took", "p95", True, True),
    ("Not finished", "backlog", True, True),
    ("Last failure", "failure", True, False),
    ("Last run", "run", True, False),
    ("Owner", "owner", False, False),
    ("Tier", "tier", False, True),
)


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def workflow_list(request: HttpRequest) -> HttpResponse:
    """List the workflows, the worst first unless the address says otherwise."""
    found = catalogue(actor_of(request), sort=request.GET.get("sort", "state"))
    context = {"catalogue": found, "columns": _columns(found.sort)}
    return render_page(request, "workflows/workflow_list.html", "workflows/_workflow_list.html", context)


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def workflow_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how a workflow is doing, and its map; for htmx only how it is doing."""
    actor = actor_of(request)
    workflow = access_workflow(actor, slug)
    context = {
        "workflow": workflow,
        "rights": rights_on(actor, workflow),
        "page": workflow_page(actor, workflow),
        "schedules": schedules_of(actor, slug),
        "tab": "map",
    }
    return render_page(request, "workflows/workflow_detail.html", "workflows/_workflow_health.html", context)


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def workflow_map_fragment(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the map alone, with the runs that are in it now."""
    actor = actor_of(request)
    workflow = access_workflow(actor, slug)
    context = {"workflow": workflow, "map": workflow_map(actor, workflow)}
    return render(request, "workflows/_workflow_map.html", context)


@require_safe
@requires(Permission.VIEW_RUN)
def workflow_history_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the last runs step by step, how long they took and which steps fail."""
    actor = actor_of(request)
    workflow = access_workflow(actor, slug)
    context = {
        "workflow": workflow,
        "rights": rights_on(actor, workflow),
        "history": workflow_history(actor, workflow, failed_only="failed" in request.GET),
        "tab": "history",
    }
    return render_page(request, "workflows/workflow_history.html", "workflows/_workflow_grid.html", context)


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def workflow_versions_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show which versions there were and what each changed."""
    actor = actor_of(request)
    workflow = access_workflow(actor, slug)
    context = {
        "workflow": workflow,
        "rights": rights_on(actor, workflow),
        "versions": workflow_versions(workflow),
        "tab": "versions",
    }
    return render(request, "workflows/workflow_versions.html", context)


def _columns(sort: str) -> list[Column]:
    here = reverse("workflow-list")
    columns = []
    for title, key, largest_first, is_number in _COLUMNS:
        is_sorted = bool(key) and sort.removeprefix("-") == key
        is_turned = is_sorted and sort.startswith("-")
        order = ("descending" if largest_first != is_turned else "ascending") if is_sorted else ""
        url = f"{here}?sort={'-' if is_sorted and not is_turned else ''}{key}" if key else ""
        columns.append(Column(title, url, order, is_number))
    return columns
