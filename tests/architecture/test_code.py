"""Rules of the house style that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import PACKAGES, Module, modules

MODEL_SIGNALS = {"pre_init", "post_init", "pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed"}
SQL = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM)\b", re.DOTALL)

# Where anything at all may go wrong, and is turned into a record, a log line or an answer.
EDGES: dict[str, str] = {
    "portal/core/error_pages.py": "the page that tells of a fault must itself appear",
    "workflows/bulk/driver.py": "an operation that fails in a way nobody foresaw halts, and the others go on",
    "workflows/bulk/engine.py": "an item that fails in a way nobody foresaw is refused, and halts its operation",
    "workflows/schedules/starting.py": "the mistake in one schedule's input is noted, and stops no other schedule",
    "workflows/engine/session.py": "a transaction undone takes back what the worker holds in memory, then raises on",
}


def imports_in_functions(module: Module) -> Iterator[ast.stmt]:
    for function in module.functions():
        if module.path.name == "apps.py" and function.name == "ready":
            continue
        yield from (node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


def is_blind(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        name is None or (isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"}) for name in caught
    )


def test_imports_stand_at_the_top() -> None:
    """The wish for an import inside a function means that the layer is wrong."""
    assert [m.at(node) for m in modules(*PACKAGES) for node in imports_in_functions(m)] == []


def test_no_model_signals() -> None:
    found = [
        f"{module.at(node)} {alias.name}"
        for module in modules(*PACKAGES)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in MODEL_SIGNALS or (node.module == "django.dispatch" and alias.name == "receiver")
    ]
    assert found == []


def test_only_named_edges_catch_everything() -> None:
    found = {
        module.name
        for module in modules(*PACKAGES)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and is_blind(node)
    }
    assert found == set(EDGES)


def test_only_the_store_speaks_sql_in_the_engine() -> None:
    found = [
        module.at(node)
        for module in modules("workflows/engine")
        if "engine/store" not in module.path.as_posix()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value)
    ]
    assert found == []
