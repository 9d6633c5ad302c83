"""Every page there is, by a name for its pictures and how to find its address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse

from portal.core.models import AuditEntry
from workflows.models import Dependency, Run, Workflow

PLAIN = {
    "overview": "landing",
    "workflows": "workflow-list",
    "runs": "run-list",
    "dependencies": "dependency-list",
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
        if address := _address(url_name):
            yield Place(name, address)
    workflows = Workflow.objects.order_by("slug")
    newest = {run.status: run for run in Run.objects.order_by("id")}
    troubled = Dependency.objects.order_by("-state", "name")[:1]
    entries = AuditEntry.objects.order_by("-sequence")[:1]
    yield from _objects("workflow", workflows, "workflow-detail", lambda workflow: workflow.slug)
    yield from _objects("start", workflows, "workflow-start", lambda workflow: workflow.slug)
    for status, run in sorted(newest.items()):
        yield from _objects(f"run-{status}", [run], "run-detail", lambda run: run.id)
    yield from _objects("dependency", troubled, "dependency-detail", lambda dependency: dependency.name)
    yield from _objects("audit-entry", entries, "audit-entry", lambda entry: entry.id)
    yield Place("login", reverse("login"), persona="")
    yield Place("error-404", "/nowhere/")
    yield Place("error-403", reverse("audit-list"), persona="viewer")


def _objects(name: str, rows: Any, url_name: str, key: Callable[[Any], object]) -> Iterator[Place]:
    for number, row in enumerate(rows, start=1):
        if address := _address(url_name, key(row)):
            yield Place(name if number == 1 else f"{name}-{number}", address)


def _address(url_name: str, *arguments: object) -> str:
    try:
        return reverse(url_name, args=arguments)
    except NoReverseMatch:
        return ""
