"""What changed lately: acts of people, breakers, versions of workflows. In one query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, TextField
from django.db.models import Value as V
from django.db.models.functions import Cast
from django.urls import reverse

from portal.core import clock
from portal.core.access import reach
from portal.core.actor import Actor
from portal.core.models import AuditEntry
from portal.core.permissions import Permission
from portal.web.concerns import called_by, dependency_url
from workflows.models import BreakerEvent, Workflow
from workflows.presentation import StateName
from workflows.queries.catalogue import seen_at

WITHIN = timedelta(days=1)
# The kinds of act that can explain trouble, or its end. A started run is no change.
_TOLD = Q(action__regex=r"^(workflows\.(run|step|workflow|version|dead_letter)|demo\.(service|worker))\.")
_TOLD &= ~Q(action__endswith=".start")
# While a service stays away its breaker goes to and fro between these: no change.
_PROBING = Q(new="half_open") | Q(old="half_open", new="open")
_ACTS = {
    "workflows.dead_letter.discard": "Discarded",
    "workflows.dead_letter.edit": "Edited and replayed",
    "workflows.dead_letter.replay": "Replayed",
    "workflows.dead_letter.restore": "Brought back",
    "workflows.run.cancel": "Cancelled run",
    "workflows.run.pause": "Paused run",
    "workflows.run.resume": "Resumed run",
    "workflows.run.retry": "Retried a step of run",
    "workflows.run.roll_back": "Rolled back run",
    "workflows.step.decide": "Decided a step of run",
    "workflows.step.skip": "Skipped a step of run",
    "workflows.version.change": "Code changed without a new version number:",
    "workflows.workflow.pause": "Held new runs of",
    "workflows.workflow.resume": "Let new runs start of",
    "demo.service.switch": "Switched in the sandbox:",
    "demo.worker.kill": "Killed",
}
LIMIT = 8
_BREAKER_STATES = {
    "closed": (StateName.OK, "calls go out again"),
    "open": (StateName.FAILED, "is cut off"),
    "forced_open": (StateName.PAUSED, "was cut off by hand"),
    "forced_closed": (StateName.PAUSED, "is kept connected by hand"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is different since ``at``, by whom and why."""

    at: datetime
    what: str
    who: str
    reason: str
    url: str
    state: StateName = StateName.RUNNING


def recent_changes(actor: Actor, workflows: Iterable[Workflow]) -> list[Change]:
    """Return what changed within a day around ``workflows``, the latest first. One query.

    Acts of people are left out for whoever may not see the whole audit trail.
    """
    workflows, since = list(workflows), clock.now() - WITHIN
    names = {name for workflow in workflows for name in called_by(workflow)}
    rows = (
        BreakerEvent.objects.filter(~_PROBING, at__gt=since, dependency__name__in=names)
        .order_by()
        .values_list("at", V("breaker"), "dependency__name", "new", "actor_label", "reason", V(""))
    )
    if reach(actor, Permission.VIEW_AUDIT).everywhere:
        acts = AuditEntry.objects.filter(_TOLD, at__gt=since, result=AuditEntry.Result.DONE).order_by()
        key = Cast("object_id", TextField())
        told = acts.values_list("at", "object_type", "object_label", "action", "actor_label", "reason", key)
        rows = rows.union(told, all=True)
    found = [_change(*row) for row in rows.order_by("-at")[:LIMIT]]
    seen = ((workflow, seen_at(workflow)) for workflow in workflows)
    found += [_new_version(workflow, at) for workflow, at in seen if at and at > since]
    return sorted(found, key=lambda change: change.at, reverse=True)[:LIMIT]


def _new_version(workflow: Workflow, at: datetime) -> Change:
    what = f"{workflow.title}: version {workflow.latest_version} seen for the first time"
    return Change(at, what, "", "", reverse("workflow-versions", args=[workflow.slug]))


def _change(at: datetime, kind: str, name: str, what: str, who: str, reason: str, key: str) -> Change:
    if kind == "breaker":
        state, words = _BREAKER_STATES[what]
        return Change(at, f"{name} {words}", who, reason, dependency_url(name), state)
    url = ""
    if kind == "run":
        url = reverse("run-detail", args=[key])
    elif kind == "dead_letter":
        url = reverse("dead-letter", args=[key])
    elif kind == "workflow":
        url = reverse("workflow-detail", args=[name])
    short = f"…{name[-8:]}" if kind == "run" else name
    return Change(at, f"{_ACTS.get(what, what)} {short}", who, reason, url)
