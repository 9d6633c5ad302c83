"""What pages and the API show of a run's values to somebody without the right to see payloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

HIDDEN = "•••"
SHORTEST_SECRET = 4
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Redaction:
    """What one viewer sees of the runs of one version of a workflow."""

    input_fields: frozenset[str]
    step_fields: Mapping[str, frozenset[str]]
    sees_payload: bool

    def input(self, value: Any) -> Any:
        """Return a run's input as this viewer may see it."""
        return value if self.sees_payload else hide(value, self.input_fields)

    def step_output(self, step: str, value: Any) -> Any:
        """Return the output of ``step`` as this viewer may see it."""
        return value if self.sees_payload else hide(value, self.step_fields.get(step, frozenset()))

    def run_output(self, value: Any) -> Any:
        """Return a run's output, which may hold what came in and what any step gave."""
        return value if self.sees_payload else hide(value, self.input_fields.union(*self.step_fields.values()))

    def hide_from(self, value: Any, fields: Iterable[str]) -> Any:
        """Return a value, of whose ``fields`` this viewer may not see what is in them."""
        return value if self.sees_payload else hide(value, fields)

    def error(self, value: Json | None) -> Json | None:
        """Return an error without its stack, which may quote values, for those who may not see them."""
        if value is None or self.sees_payload:
            return value
        return {name: part for name, part in value.items() if name != "stack"}


def redaction_of(definition: Json, *, sees_payload: bool) -> Redaction:
    """Return what ``WorkflowVersion.definition`` calls sensitive, for a viewer who may see it or not."""
    return Redaction(
        input_fields=frozenset(definition["input"]["sensitive"]),
        step_fields={step["name"]: frozenset(step["sensitive"]) for step in definition["steps"]},
        sees_payload=sees_payload,
    )


def hide(value: Any, fields: Iterable[str]) -> Any:
    """Return a copy of a JSON ``value`` in which each of ``fields`` shows ``HIDDEN``.

    A field is a name, or a path with dots (``card.number``). Lists are entered, also the value itself.
    """
    paths = {tuple(field.split(".")) for field in fields}
    return _hide(value, paths) if paths else value


def hide_all(value: Any) -> Any:
    """Return a copy of a JSON ``value`` in which only its shape and its field names show."""
    if isinstance(value, dict):
        return {name: hide_all(item) for name, item in value.items()}
    return [hide_all(item) for item in value] if isinstance(value, list) else HIDDEN


def values_under(value: Any, fields: Iterable[str]) -> set[str]:
    """Return, as text, what a JSON ``value`` holds under ``fields``: what a message must not quote.

    Too short a text is left out: it would blot out words that only contain it.
    """
    found = {text for field in fields for text in _texts_at(value, field.split("."))}
    return {text for text in found if len(text) >= SHORTEST_SECRET}


def blot_out(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with each of ``secrets`` shown as ``HIDDEN``, the longest first."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _texts_at(value: Any, path: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts_at(item, path)
    elif path and isinstance(value, dict):
        yield from _texts_at(value.get(path[0]), path[1:])
    elif not path and isinstance(value, dict):
        for item in value.values():
            yield from _texts_at(item, [])
    elif not path and value is not None and not isinstance(value, bool):
        yield str(value)


def _hide(value: Any, paths: set[tuple[str, ...]]) -> Any:
    if isinstance(value, list):
        return [_hide(item, paths) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: HIDDEN if (name,) in paths else _hide(item, _below(name, paths)) for name, item in value.items()}


def _below(name: str, paths: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    return {path[1:] for path in paths if path[0] == name and len(path) > 1}
