"""What the documents tell people to type exists."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management import get_commands

from tests.architecture.source import ROOT

TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def mentioned(pattern: str) -> set[str]:
    """Find commands in code: a fenced block's line or an `inline` mention."""
    code = re.compile(rf"(?:^|`)(?:[$] )?(?:\S*/)?{pattern}", re.MULTILINE)
    return {name for path in documents() if path.exists() for name in code.findall(path.read_text())}


def test_documented_make_targets_exist() -> None:
    makefile = ROOT / "Makefile"
    targets = set(TARGET.findall(makefile.read_text())) if makefile.exists() else set()
    assert mentioned(r"make ([a-z][a-z-]*)") <= targets


def test_documented_management_commands_exist() -> None:
    assert mentioned(r"(?:python )?(?:\S*/)?manage\.py ([a-z][a-z_]*)") <= set(get_commands())


def test_documents_link_to_files_that_exist() -> None:
    link = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in documents()
        if path.exists()
        for target in link.findall(path.read_text())
        if not (path.parent / target).exists()
    ]
    assert broken == []
