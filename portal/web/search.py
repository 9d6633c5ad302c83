"""What the palette and the search page find: runs, workflows, pages and actions, by what a person would type."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse

from portal.core.access import may, within_reach
from portal.core.actor import Actor
from portal.core.moments import absolute_words
from portal.core.permissions import Permission
from portal.web.shell import Shell
from workflows.models import Run, Workflow
from workflows.presentation import State, run_state, short_id

RUN_LIMIT = 8
WORKFLOW_LIMIT = 6
MINIMUM_PREFIX = 8  # hex digits of a run id


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found, and where it leads."""

    title: str
    url: str
    icon: str
    detail: str = ""
    state: State | None = None


@dataclass(frozen=True, slots=True)
class HitGroup:
    title: str
    hits: list[Hit]


def search_results(actor: Actor, shell: Shell, text: str) -> list[HitGroup]:
    """Return what matches ``text``, in groups; without a text, the pages. At most two queries."""
    words = text.strip()
    workflows = _workflows(actor, words) if words else []
    groups = [
        HitGroup("Runs", _runs(actor, words) if words else []),
        HitGroup("Workflows", [_workflow_hit(workflow) for workflow in workflows]),
        HitGroup("Pages", _pages(shell, words)),
        HitGroup("Actions", [_start_hit(w) for w in workflows if may(actor, Permission.START_RUN, w)]),
    ]
    return [group for group in groups if group.hits]


def _runs(actor: Actor, words: str) -> list[Hit]:
    found = Run.objects.filter(_names(words), within_reach(actor, Permission.VIEW_RUN)).select_related("workflow")[
        :RUN_LIMIT
    ]
    return [
        Hit(
            title=f"{run.workflow.title} {short_id(run.id)}",
            url=reverse("run-detail", args=[run.id]),
            icon="activity",
            detail=_run_words(run),
            state=run_state(run),
        )
        for run in found
    ]


def _run_words(run: Run) -> str:
    amount = f"{run.amount:,.2f} {run.currency}" if run.amount is not None else ""
    return " · ".join(part for part in (run.customer_key, amount, absolute_words(run.created_at)) if part)


def _names(words: str) -> Q:
    """Return the filter for runs that go by this name: customer, idempotency key, correlation id, or run id."""
    named = Q(customer_key__istartswith=words) | Q(idempotency_key=words) | Q(correlation_id=words)
    digits = words.replace("-", "").lower()
    if MINIMUM_PREFIX <= len(digits) <= 32 and set(digits) <= set("0123456789abcdef"):
        first, last = uuid.UUID(digits.ljust(32, "0")), uuid.UUID(digits.ljust(32, "f"))
        named |= Q(id__range=(first, last))
    return named


def _workflows(actor: Actor, words: str) -> list[Workflow]:
    visible = Workflow.objects.filter(within_reach(actor, Permission.VIEW_WORKFLOW, workflow=""))
    return list(visible.filter(Q(slug__icontains=words) | Q(title__icontains=words))[:WORKFLOW_LIMIT])


def _workflow_hit(workflow: Workflow) -> Hit:
    return Hit(workflow.title, reverse("workflow-detail", args=[workflow.slug]), "workflow", workflow.slug)


def _start_hit(workflow: Workflow) -> Hit:
    return Hit(f"Start {workflow.title}", reverse("workflow-start", args=[workflow.slug]), "play")


def _pages(shell: Shell, words: str) -> list[Hit]:
    items = [item for group in shell.groups for item in group.items] + list(shell.personal)
    return [Hit(item.title, item.url, item.icon) for item in items if words.lower() in item.title.lower()]
