"""Whether what one model writes can be read by another: a comparison of their JSON schemas. Pure.

Structural: it compares types, formats, needed fields and limits. It cannot know what a validator of the author's
own accepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

Json = Mapping[str, Any]
_LOWER_LIMITS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_LIMITS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why something written cannot be read. ``field``: where, with dots; "" for the whole."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Schemas:
    """A model's JSON schema as it writes and as it reads."""

    written: dict[str, Any]
    read: dict[str, Any]


class _Schemas(GenerateJsonSchema):
    """What is really sent: every field of a model, and decimals as strings that can be told from others."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        sends_defaults = self.mode == "serialization" and field["type"] == "model-field"
        return sends_defaults or super().field_is_required(field, total)

    def decimal_schema(self, schema: Any) -> dict[str, Any]:
        made = super().decimal_schema(schema)
        for form in made.get("anyOf", [made]):
            if form.get("type") == "string":
                form["format"] = "decimal"
        return made


def schemas_of(model: type[BaseModel]) -> Schemas:
    """Return a model's schemas."""
    return Schemas(
        model.model_json_schema(mode="serialization", schema_generator=_Schemas),
        model.model_json_schema(mode="validation", schema_generator=_Schemas),
    )


def misfits(written: Json, read: Json) -> list[Misfit]:
    """Return why the reader cannot read all that the writer may write; nothing if it can.

    :param written: the writer's schema of what it sends.
    :param read: the reader's schema of what it takes.
    """
    return list(_Comparison(written, read).compare(written, read, ""))


class _Comparison:
    """Two schemas, with the definitions that their parts refer to."""

    def __init__(self, written: Json, read: Json) -> None:
        self._written, self._read = written.get("$defs", {}), read.get("$defs", {})
        self._inside: set[tuple[str, str]] = set()  # being compared now: models may nest themselves

    def compare(self, written: Json, read: Json, field: str) -> Iterator[Misfit]:
        """Yield what does not fit at ``field`` and below it."""
        pair = (str(written.get("$ref", "")), str(read.get("$ref", "")))
        if pair in self._inside:
            return
        if all(pair):
            self._inside.add(pair)
        for form in _forms(written, self._written):
            yield from self._one(form, _forms(read, self._read), field)
        self._inside.discard(pair)

    def _one(self, form: Json, accepted: list[Json], field: str) -> Iterator[Misfit]:
        """One form of what is written fits if some form of what is read takes it; else the nearest says why not."""
        near = [other for other in accepted if _same_type(form, other)] or accepted[:1]
        tried = [list(self._against(form, other, field)) for other in near]
        if all(tried):
            yield from min(tried, key=len)

    def _against(self, written: Json, read: Json, field: str) -> Iterator[Misfit]:
        problem = _differs(written, read)
        if problem:
            yield Misfit(field, problem)
            return
        if read.get("type") == "object":
            yield from self._objects(written, read, field)
        elif read.get("type") == "array":
            yield from self._arrays(written, read, field)

    def _objects(self, written: Json, read: Json, field: str) -> Iterator[Misfit]:
        sent, taken = written.get("properties", {}), read.get("properties", {})
        for name in read.get("required", ()):
            if name not in written.get("required", ()):
                yield Misfit(_below(field, name), "is needed, but not sent" if name not in sent else "may be missing")
        for name, schema in sent.items():
            if name in taken:
                yield from self.compare(schema, taken[name], _below(field, name))
            elif read.get("additionalProperties") is False:
                yield Misfit(_below(field, name), "is sent, but refused as unknown")
        values, wanted = written.get("additionalProperties"), read.get("additionalProperties")
        if isinstance(values, Mapping) and isinstance(wanted, Mapping):
            yield from self.compare(values, wanted, _below(field, "*"))

    def _arrays(self, written: Json, read: Json, field: str) -> Iterator[Misfit]:
        sent, taken = written.get("prefixItems", ()), read.get("prefixItems", ())
        for number, (one, other) in enumerate(zip(sent, taken, strict=False)):
            yield from self.compare(one, other, _below(field, str(number)))
        if "items" in written and "items" in read:
            yield from self.compare(written["items"], read["items"], _below(field, "*"))


def _forms(schema: Json, definitions: Json) -> list[Json]:
    """Return the alternatives of a schema, with references replaced by what they refer to."""
    if "$ref" in schema:
        return _forms(definitions[str(schema["$ref"]).rsplit("/", 1)[-1]], definitions)
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        return [form for each in alternatives for form in _forms(each, definitions)]
    return [schema]


def _differs(written: Json, read: Json) -> str:
    """Say why values of the one form are not values of the other, without looking inside; "" if they are."""
    if not _same_type(written, read):
        return f"is {_name(written)}, but {_name(read)} is taken"
    allowed, sent = _values(read), _values(written)
    if allowed is not None and (sent is None or not set(sent) <= set(allowed)):
        new = [value for value in sent or () if value not in allowed]
        return f"may be {', '.join(map(repr, new)) or 'anything'}, but only {', '.join(map(repr, allowed))} is taken"
    if read.get("format") not in {None, written.get("format")} and sent is None:
        return f"is {_name(written)}, but {_name(read)} is taken"
    if read.get("pattern") not in {None, written.get("pattern")} and sent is None:
        return f"must match {read['pattern']}, which what is sent need not"
    return next(
        (problem for limit in (*_LOWER_LIMITS, *_UPPER_LIMITS) if (problem := _beyond(written, read, limit))), ""
    )


def _same_type(written: Json, read: Json) -> bool:
    wanted, given = read.get("type"), written.get("type")
    return wanted is None or wanted == given or (wanted == "number" and given == "integer")


def _beyond(written: Json, read: Json, limit: str) -> str:
    wanted, given = read.get(limit), written.get(limit)
    if wanted is None or _values(written) is not None:
        return ""
    is_within = given is not None and (given >= wanted if limit in _LOWER_LIMITS else given <= wanted)
    return "" if is_within else f"is taken with {limit} {wanted} only, which what is sent need not keep"


def _values(schema: Json) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return None if values is None else list(values)


def _name(schema: Json) -> str:
    named = schema.get("format") or schema.get("type") or "anything"
    return f"{'an' if named[0] in 'aeiou' else 'a'} {named}" if named not in {"null", "anything"} else str(named)


def _below(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name
