"""Every page there is, by a name for its pictures and how to find its address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse

from portal.core.ids import uuid7
from portal.core.models import AuditEntry, User
from workflows.models import Dependency, Run, Workflow

PLAIN = {
    "overview": "landing",
    "workflows": "workflow-list",
    "runs": "run-list",
    "dependencies": "dependency-list",
    "audit": "audit-list",
    "access": "access",
    "access-grant": "access-grant",
    "tokens": "tokens",
    "preferences": "preferences",
    "sandbox": "sandbox",
    "search": "search",
    "help": "help",
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
        try:
            yield Place(name, reverse(url_name))
        except NoReverseMatch:
            continue
    yield from _objects("workflow", Workflow.objects.order_by("slug"), "workflow-detail", lambda w: w.slug)
    yield from _objects("start", Workflow.objects.order_by("slug"), "workflow-start", lambda w: w.slug)
    newest = {run.status: run for run in Run.objects.order_by("id")}
    for status, run in sorted(newest.items()):
        try:
            reverse("run-detail", args=[run.id])
        except NoReverseMatch:
            break
        yield Place(f"run-{status}", reverse("run-detail", args=[run.id]))
    troubled = Dependency.objects.order_by("-state", "name")[:1]
    yield from _objects("dependency", troubled, "dependency-detail", lambda d: d.name)
    yield from _objects("audit-entry", AuditEntry.objects.order_by("-sequence")[:1], "audit-entry", lambda e: e.id)
    people = User.objects.filter(username="team_operator")
    yield from _objects("access-person", people, "access-person", lambda u: u.username)
    if workflow := Workflow.objects.first():
        question = f"person=viewer&right=retry_step&on=workflow:{workflow.pk}"
        yield Place("access-explained", f"{reverse('access')}?{question}")
    yield Place("login", reverse("login"), persona="")
    yield Place("error-404", "/nowhere/")
    yield Place("error-403", "/audit/", persona="viewer")


def _objects(name: str, rows: Iterable[Any], url_name: str, key: Callable[..., object]) -> Iterator[Place]:
    try:
        reverse(url_name, args=["x"])
    except NoReverseMatch:
        try:
            reverse(url_name, args=[uuid7()])
        except NoReverseMatch:
            return
    for number, row in enumerate(rows):
        yield Place(f"{name}-{number + 1}" if number else name, reverse(url_name, args=[key(row)]))
