"""Every page there is, by a name for its pictures and how to find its address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from portal.core.models import AuditEntry, User
from workflows.definition.contracts import every_contract
from workflows.models import (
    BulkOperation,
    DeadLetter,
    Dependency,
    InboxMessage,
    ResourceLock,
    Run,
    StepItem,
    Workflow,
)

PLAIN = {
    "overview": "overview",
    "workflows": "workflow-list",
    "runs": "run-list",
    "dependencies": "dependency-list",
    "dead-letters": "dead-letter-list",
    "completeness": "completeness",
    "contracts": "contract-list",
    "reconciliation": "reconciliation-list",
    "bulk": "bulk-list",
    "run-views": "run-views",
    "run-view-new": "run-view-new",
    "locks": "lock-list",
    "schedules": "schedule-list",
    "audit": "audit-list",
    "access": "access",
    "tokens": "tokens",
    "preferences": "preferences",
    "sandbox": "sandbox",
    "search": "search",
    "lookup": "lookup",
    "help": "help",
    "api": "api-reference",
    "style": "style",
    "style-dialog": "style-dialog",
    "access-grant": "access-grant",
    "access-person-new": "access-person-new",
    "password": "password",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A page: its name, its address, and who looks at it ("" for nobody signed in)."""

    name: str
    address: str
    persona: str = "admin"


def places() -> Iterator[Place]:
    """Yield every page that the rows in the database make possible."""
    for name, url_name in PLAIN.items():
        yield Place(name, reverse(url_name))
    # Whatever other tests have declared in this process is no page of ours.
    workflows = Workflow.objects.exclude(slug__startswith="test-").order_by("slug")
    newest = {run.status: run for run in Run.objects.order_by("id")}
    troubled = Dependency.objects.order_by("-state", "name")[:1]
    entries = AuditEntry.objects.order_by("-sequence")[:1]
    yield from _objects("workflow", workflows, "workflow-detail", lambda workflow: workflow.slug)
    yield from _objects("history", workflows[:1], "workflow-history", lambda workflow: workflow.slug)
    yield from _objects("versions", workflows[:1], "workflow-versions", lambda workflow: workflow.slug)
    yield from _objects("runbook", workflows[:1], "runbook", lambda workflow: workflow.runbook)
    yield from _objects("hold", workflows[:1], "workflow-pause", lambda workflow: workflow.slug)
    yield from _objects("start", workflows, "workflow-start", lambda workflow: workflow.slug)
    if newest:
        yield Place("lookup-found", f"{reverse('lookup')}?q={newest[max(newest)].pk}")
    for status, run in sorted(newest.items()):
        yield from _objects(f"run-{status}", [run], "run-detail", lambda run: run.id)
    with_items = StepItem.objects.order_by("-run_id", "step", "index")[:1]
    for item in with_items:
        address = reverse("run-items", args=[item.run_id, item.step])
        yield Place("items", address)
        yield Place("item", f"{address}?item={item.index}")
    for status, command in (("failed", "resume"), ("succeeded", "rollback"), ("waiting", "cancel")):
        yield from _objects(
            f"run-{command}", filter(None, [newest.get(status)]), f"run-{command}", lambda run: run.id
        )
    for command in ("resume", "rollback"):
        yield Place(f"bulk-{command}", f"{reverse('bulk-new')}?kind=run&command={command}&filter=state%3Dfailed")
    for operation in BulkOperation.objects.order_by("id"):
        yield from _objects(f"bulk-{operation.status}", [operation], "bulk-detail", lambda operation: operation.pk)
    yield from _objects("bulk-hand", BulkOperation.objects.filter(status="halted"), "bulk-continue", lambda o: o.pk)
    yield from _objects("dependency", troubled, "dependency-detail", lambda dependency: dependency.name)
    taken = ResourceLock.objects.filter(run__isnull=False)[:1]
    yield from _objects("lock-break", taken, "lock-break", lambda lock: lock.key)
    yield Place("reconciliation-check", reverse("reconciliation-detail", args=["trust-account"]))
    yield from _of_events()
    yield from _objects("audit-entry", entries, "audit-entry", lambda entry: entry.id)
    people = User.objects.filter(username="team_operator")
    yield from _objects("access-person", people, "access-person", lambda user: user.username)
    for workflow in workflows[:1]:
        question = f"person=viewer&right=retry_step&on=workflow:{workflow.pk}"
        yield Place("access-explained", f"{reverse('access')}?{question}")
    people = User.objects.filter(username="operator")
    yield from _objects("person", people, "access-person", lambda user: user.username)
    yield from _objects("person-off", people, "access-person-off", lambda user: user.username)
    yield Place("login", reverse("login"), persona="")
    yield Place("error-404", "/nowhere/")
    yield Place("error-403", reverse("audit-list"), persona="viewer")


def _of_events() -> Iterator[Place]:
    """Yield the pages of dead letters, missed events and contracts."""
    letters = DeadLetter.objects.order_by("-status", "-replay_count", "-id")[:1]
    yield from _objects("dead-letter", letters, "dead-letter", lambda letter: letter.pk)
    for command in ("replay", "edit", "discard"):
        yield from _objects(f"dead-letter-{command}", letters, f"dead-letter-{command}", lambda letter: letter.pk)
    missed = InboxMessage.objects.filter(status="pending").order_by("-due_at")[:1]
    for command in ("send", "give-up"):
        yield from _objects(f"missed-{command}", missed, f"missed-{command}", lambda row: row.pk)
    for contract in every_contract()[:1]:
        yield Place("contract", reverse("contract", args=[contract.name]))


def _objects(name: str, rows: Iterable[Any], url_name: str, key: Callable[[Any], object]) -> Iterator[Place]:
    for number, row in enumerate(rows, start=1):
        yield Place(name if number == 1 else f"{name}-{number}", reverse(url_name, args=[key(row)]))
