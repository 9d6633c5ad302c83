"""Every workflow that this process knows, by name and version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workflows.errors import DefinitionError

if TYPE_CHECKING:
    from workflows.definition.workflow import WorkflowDefinition

    Definition = WorkflowDefinition[Any]

_known: dict[tuple[str, int], Definition] = {}


def register(definition: Definition) -> None:
    """Add a definition.

    :raises DefinitionError: if the name and version are taken by another one.
    """
    key = (definition.name, definition.version)
    other = _known.get(key)
    if other is not None and other.declared_at != definition.declared_at:
        raise DefinitionError(
            f'{definition.declared_at}: workflow "{definition.name}" version {definition.version} '
            f"is declared already, at {other.declared_at}. Give the changed one the next version number."
        )
    _known[key] = definition


def forget(definition: Definition) -> None:
    """Take a definition out again (an import that failed half-way, a test's own workflow)."""
    _known.pop((definition.name, definition.version), None)


def check_all() -> None:
    """Check every definition.

    :raises DefinitionError: with all mistakes found, one a line.
    """
    problems: list[str] = []
    for definition in _known.values():
        try:
            _ = definition.plan
        except DefinitionError as exc:
            problems.append(str(exc))
    if problems:
        raise DefinitionError("\n".join(problems))


def registered() -> list[Definition]:
    """Return the latest version of each workflow, by name."""
    return [find_latest(name) for name in sorted({name for name, _ in _known})]


def every_version() -> list[Definition]:
    """Return all known versions, oldest first."""
    return [_known[key] for key in sorted(_known)]


def find_latest(name: str) -> Definition:
    """Return the highest version of a workflow.

    :raises KeyError: if the code has none of that name.
    """
    return _known[max((key for key in _known if key[0] == name), default=(name, 0))]


def find(name: str, version: int) -> Definition | None:
    """Return one version, or None if this process's code does not have it."""
    return _known.get((name, version))
