from __future__ import annotations

import pytest

from tests.architecture.source import PACKAGES, ROOT, length, modules, relative, templates

FILE_LINES = 500
FUNCTION_LINES = 60
SHORT_FUNCTIONS = {"views": 25, "api": 25, "tasks": 15}
TEMPLATE_LINES = 100
SCRIPT_LINES = 120


def lines_of(path: str) -> int:
    return len((ROOT / path).read_text().splitlines())


def test_no_python_file_is_long() -> None:
    found = [f"{m.name}: {lines_of(m.name)} lines" for m in modules(*PACKAGES, "tests", "benchmarks")]
    assert [line for line in found if int(line.split()[-2]) > FILE_LINES] == []


def test_no_function_is_long() -> None:
    too_long = [
        f"{module.at(function)} {function.name}: {length(function)} lines"
        for module in modules(*PACKAGES, "tests", "benchmarks")
        for function in module.functions()
        if length(function) > FUNCTION_LINES
    ]
    assert too_long == []


@pytest.mark.parametrize("kind", SHORT_FUNCTIONS)
def test_edges_are_thin(kind: str) -> None:
    """A view or task that grows has taken over work of a service or a query."""
    too_long = [
        f"{module.at(function)} {function.name}: {length(function)} lines"
        for module in modules(*PACKAGES)
        if kind in module.name.removesuffix(".py").split("/")
        for function in module.functions()
        if length(function) > SHORT_FUNCTIONS[kind]
    ]
    assert too_long == []


def test_no_template_is_long() -> None:
    sizes = {relative(path): lines_of(relative(path)) for path in templates()}
    assert {name: size for name, size in sizes.items() if size > TEMPLATE_LINES} == {}


def test_no_script_is_long() -> None:
    scripts = [path for path in (ROOT / "static" / "js").rglob("*.js") if "vendor" not in path.parts]
    sizes = {relative(path): lines_of(relative(path)) for path in scripts}
    assert {name: size for name, size in sizes.items() if size > SCRIPT_LINES} == {}
