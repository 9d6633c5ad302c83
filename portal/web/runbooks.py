"""Runbooks: Markdown files that lie with the code, shown as pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import nh3
from django.apps import apps
from django.conf import settings
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.models import Workflow

_TITLE = re.compile(r"\A\s*# +(?P<title>.+?) *\n")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True, slots=True)
class Runbook:
    """A runbook as shown: ``html`` is sanitised."""

    slug: str
    title: str
    html: SafeString
    workflows: tuple[Workflow, ...]


def runbook(actor: Actor, slug: str) -> Runbook:
    """Return the runbook of workflows that ``actor`` may see. One query.

    :raises NotFound: if no such workflow names it, or no file has its name.
    """
    within = within_reach(actor, Permission.VIEW_WORKFLOW, workflow="")
    workflows = tuple(Workflow.objects.filter(within, runbook=slug))
    path = next((folder / f"{slug}.md" for folder in _folders() if (folder / f"{slug}.md").is_file()), None)
    if not workflows or path is None:
        raise NotFound("There is no such runbook, or none of a workflow that you may see.")
    text = path.read_text(encoding="utf-8")
    title = _TITLE.match(text)
    body = text[title.end() :] if title else text
    html = SafeString(nh3.clean(_MARKDOWN.render(body)))
    return Runbook(slug, title["title"] if title else workflows[0].title, html, workflows)


def _folders() -> list[Path]:
    """Return where runbooks lie: those of the portal, then those of each app."""
    return [settings.BASE_DIR / "docs" / "runbooks", *(Path(app.path) / "runbooks" for app in apps.get_app_configs())]
