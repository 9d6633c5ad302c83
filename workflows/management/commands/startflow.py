"""``manage.py startflow late_fees``: an own app with a workflow, its runbook and a test that passes."""

from __future__ import annotations

import keyword
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

TEMPLATE = Path(__file__).resolve().parent.parent.parent / "flow_template"
SUFFIX = "-tpl"


class Command(BaseCommand):
    """Writes files and touches nothing that exists."""

    help = "Make an app with a workflow of your own, its runbook, and a test that passes."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name, and where to put it."""
        parser.add_argument("name", help="the app's name, such as late_fees; the workflow is called late-fees")
        parser.add_argument("--owner", default="operations", help="the team that owns it (default: operations)")
        parser.add_argument("--directory", type=Path, default=Path(), help="where the app goes (default: here)")

    def handle(self, *args: Any, name: str, owner: str, directory: Path, **options: Any) -> None:
        """Write the app and say what comes next."""
        folder = directory / name
        check_name(name, owner, folder)
        words = {
            "name": name,
            "slug": name.replace("_", "-"),
            "title": name.replace("_", " ").capitalize(),
            "owner": owner,
        }
        for template in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
            path = folder / str(template.relative_to(TEMPLATE)).removesuffix(SUFFIX)
            path = path.with_name(path.name.replace("runbook", words["slug"]))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fill(template.read_text(), words))
            self.stdout.write(f"  {path}")
        self.stdout.write(
            f"\nTest it:  FLOW_APPS={name} python -m pytest {folder}\n"
            f"Run it:   FLOW_APPS={name} make run\n"
            "Then make it yours: docs/authoring.md"
        )


def check_name(name: str, owner: str, folder: Path) -> None:
    """See that the name can be a package's and is free.

    :raises CommandError: with what is wrong and what would be right.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise CommandError(f'"{name}" cannot be the name of an app. Use small letters, digits and "_": late_fees')
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", owner):
        raise CommandError(f'"{owner}" cannot be the name of a team. Use small letters, digits and "-": finance-team')
    if folder.exists():
        raise CommandError(f"{folder} exists already. Choose another name, or remove it.")
    if find_spec(name):
        raise CommandError(f'There is a Python package "{name}" already. Choose another name.')


def fill(text: str, words: dict[str, str]) -> str:
    """Return the text with each ``{{ name }}`` replaced."""
    return re.sub(r"\{\{ (\w+) \}\}", lambda match: words[match[1]], text)
