"""docs/guarantees.md: each test that a promise names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NAMED = re.compile(r"`(tests/\S+\.py)::(test_\w+)`")


def functions_in(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_each_promise_is_proved_by_a_test_that_exists() -> None:
    named = NAMED.findall((ROOT / "docs" / "guarantees.md").read_text())
    missing = [f"{path}::{name}" for path, name in named if name not in functions_in(ROOT / path)]
    assert len(named) > 20
    assert missing == []
