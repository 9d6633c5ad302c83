"""A JSON schema as a table that people read: each field, what it holds, and whether it may be missing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

_NAMES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no", "null": "nothing"}
_DECIMAL = "decimal number"
_FORMATS = {
    "date-time": "date and time",
    "date": "date",
    "time": "time of day",
    "duration": "duration",
    "email": "e-mail address",
    "uuid": "UUID",
    "uri": "address",
    "decimal": _DECIMAL,
}
# Keyword of the schema, and how it is said.
_LIMITS = (
    ("minimum", "at least {}"),
    ("exclusiveMinimum", "more than {}"),
    ("maximum", "at most {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minLength", "at least {} long"),
    ("maxLength", "at most {} long"),
    ("minItems", "at least {} of them"),
    ("maxItems", "at most {} of them"),
    ("pattern", "matches {}"),
    ("multipleOf", "a multiple of {}"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event; of an object inside it by its path with dots, "*" for each item of a list."""

    name: str
    holds: str
    is_required: bool
    limits: str
    description: str
    is_sensitive: bool
    default: str = ""


def fields_of(schema: Json, sensitive: Collection[str] = ()) -> list[Field]:
    """Return the fields of an object's schema in the order of the model, those of objects inside below their own."""
    return list(_fields(schema, schema.get("$defs", {}), sensitive, "", ()))


def _fields(
    schema: Json, known: Json, sensitive: Collection[str], path: str, above: tuple[str, ...]
) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, declared in schema.get("properties", {}).items():
        field = f"{path}{name}"
        forms = _forms(declared, known)
        marked = field.replace(".*", "")
        yield Field(
            name=field,
            holds=_words(forms, known),
            is_required=name in required,
            limits=", ".join(dict.fromkeys(limit for form in forms for limit in _limits(form))),
            description=str(declared.get("description", "")),
            is_sensitive=marked in sensitive,
            default=_default(declared),
        )
        for form in forms:
            yield from _inside(form, known, sensitive, field, above)


def _inside(
    form: Json, known: Json, sensitive: Collection[str], path: str, above: tuple[str, ...]
) -> Iterator[Field]:
    """Yield the fields of an object, or of the items of a list; a model that holds itself is entered once."""
    if form.get("type") == "array":
        for item in _forms(form.get("items", {}), known):
            yield from _inside(item, known, sensitive, f"{path}.*", above)
    elif "properties" in form and (name := str(form.get("title", ""))) not in above:
        yield from _fields(form, known, sensitive, f"{path}.", (*above, name))


def _forms(schema: Json, known: Json) -> list[Json]:
    """Return the alternatives of a schema, with references replaced by what they refer to."""
    if "$ref" in schema:
        return _forms(known.get(str(schema["$ref"]).rsplit("/", 1)[-1], {}), known)
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    return [form for each in alternatives for form in _forms(each, known)] if alternatives else [schema]


def _words(forms: Iterable[Json], known: Json) -> str:
    words = list(dict.fromkeys(_holds(form, known) for form in forms))
    if _DECIMAL in words and "number" in words:
        words.remove("number")  # a decimal number may be written as either
    return " or ".join(words) or "anything"


def _holds(form: Json, known: Json) -> str:
    if "const" in form:
        return f"“{form['const']}”"
    if "enum" in form:
        return "one of " + ", ".join(f"“{value}”" for value in form["enum"])
    if form.get("type") == "array":
        return f"list of {_words(_forms(form.get('items', {}), known), known)}"
    if form.get("type") == "object":
        return str(form.get("title") or "object") if "properties" in form else "object"
    return _FORMATS.get(str(form.get("format", "")), "") or _NAMES.get(str(form.get("type", "")), "anything")


def _limits(form: Json) -> Iterator[str]:
    for keyword, words in _LIMITS:
        # The pattern of a decimal number is how every one is written: it tells nothing.
        if keyword in form and not (keyword == "pattern" and form.get("format") == "decimal"):
            limit = form[keyword]
            yield words.format(int(limit) if isinstance(limit, float) and limit.is_integer() else limit)


def _default(declared: Json) -> str:
    value = declared.get("default")
    return "" if value is None else str(value)
