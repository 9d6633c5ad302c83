"""The repository's own files, as the architecture tests see them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("portal", "workflows", "diagnostics", "incidents")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file and its syntax tree."""

    path: Path
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its path from the top of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def at(self, node: ast.stmt | ast.expr | ast.excepthandler) -> str:
        """Name a place the way editors understand it."""
        return f"{self.name}:{node.lineno}"


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every Python file below ``folders``, without migrations."""
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return tuple(
        Module(path, ast.parse(path.read_text(), str(path))) for path in paths if "migrations" not in path.parts
    )


@cache
def templates() -> tuple[Path, ...]:
    """Every HTML template."""
    return tuple(path for folder in ("templates", *PACKAGES) for path in sorted((ROOT / folder).rglob("*.html")))


def relative(path: Path) -> str:
    """Return ``path`` from the top of the repository."""
    return path.relative_to(ROOT).as_posix()


def length(node: Function) -> int:
    """Count the lines of a function's body, without its signature, decorators and docstring."""
    first = node.body[1] if ast.get_docstring(node, clean=False) and len(node.body) > 1 else node.body[0]
    return (node.end_lineno or node.lineno) - first.lineno + 1
