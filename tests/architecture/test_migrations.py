"""Migrations can be applied while the portal runs, also the SQL that they become."""

from __future__ import annotations

import re

import pytest
from django_migration_linter import MessageType, MigrationLinter

from tests.architecture.source import PACKAGES, ROOT

OURS = ["core", "workflows", "diagnostics", "incidents", "demo", "demo_retention"]


@pytest.mark.django_db
def test_migrations_do_not_break_what_runs_beside_them() -> None:
    linter = MigrationLinter(
        str(ROOT), include_apps=OURS, no_cache=True, no_output=True, quiet=[MessageType.OK.value]
    )
    linter.lint_all_migrations()
    assert linter.nb_total > len(OURS) // 2
    assert not linter.has_errors


def test_migrations_import_nothing_that_may_change() -> None:
    """A migration says what was, so it must not follow the code of today. Ids are made in Python, for ever."""
    found = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("migrations/0*.py")
        for line in path.read_text().splitlines()
        if re.match(r"(?:from|import) (?!portal\.core\.ids$)(?:portal|workflows|diagnostics|incidents)\b", line)
    ]
    assert found == []
