"""A form made from a JSON schema: a control that fits each value, and the way back to plain values.

Shape only. Whether the values are valid is decided by the Pydantic model behind the schema, in one place for
pages, API and commands; ``add_invalid`` brings its answer back to the fields.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.datastructures import MultiValueDict

Json = Mapping[str, Any]
_SIMPLE = frozenset({"string", "number", "integer"})
_LONG_TEXT = 200


@dataclass(frozen=True, slots=True)
class Section:
    """Fields under one legend ("" for the input itself), in rows: a row may hold an amount and its currency."""

    legend: str
    help: str
    rows: Sequence[Sequence[BoundField]]


class LinesField(forms.CharField):
    """A list of simple values, one on each line."""

    widget = forms.Textarea(attrs={"rows": 3})

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value


class SchemaForm(forms.Form):
    """A form for one JSON schema. A nested object's fields are named by their path: ``client.name``."""

    def __init__(
        self,
        schema: Json,
        data: MultiValueDict[str, str] | None = None,
        *,
        order: Sequence[str] = (),
        sensitive: Collection[str] = (),
        pairs: Mapping[str, str] | None = None,
        initial: Json | None = None,
    ) -> None:
        super().__init__(data, prefix="input", initial=dict(_flat(initial or {})))
        self._pairs = pairs or {}
        self._legends: dict[str, tuple[str, str]] = {}
        self._add_fields(schema, schema.get("$defs", {}), sensitive, path="")
        self.order_fields(list(order))

    def read(self) -> dict[str, Any]:
        """Return what was typed as nested plain values. What was left empty is left out, so that defaults apply."""
        values: dict[str, Any] = {}
        for name, value in self.cleaned_data.items():
            if value in (None, "") or (value == [] and not self.fields[name].required):
                continue
            *parents, last = name.split(".")
            place = values
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value.isoformat() if isinstance(value, datetime) else value
        return values

    def add_invalid(self, problems: Mapping[str, Sequence[str]]) -> None:
        """Put each message at the field that its path leads to, or at the nearest one above it."""
        for path, messages in problems.items():
            name = path
            while name and name not in self.fields:
                name = name.rpartition(".")[0]
            for message in messages:
                self.add_error(name or None, message if name else f"{path}: {message}" if path else message)

    def sections(self) -> Iterator[Section]:
        """Yield the fields by the object that they belong to, the input's own first."""
        by_parent: dict[str, list[list[BoundField]]] = {path: [] for path in self._legends}
        paired = set(self._pairs.values())
        for name in self.fields:
            if name in paired:
                continue
            row = [self[name]]
            if (other := self._pairs.get(name)) in self.fields:
                row.append(self[str(other)])
            by_parent[name.rpartition(".")[0]].append(row)
        for path, rows in by_parent.items():
            if rows:
                yield Section(*self._legends[path], rows)

    def _add_fields(self, schema: Json, known: Json, sensitive: Collection[str], path: str) -> None:
        self._legends[path] = (schema.get("title", "") if path else "", schema.get("description", "") if path else "")
        required = schema.get("required", [])
        for key, declared in _in_order(schema):
            name = f"{path}.{key}" if path else key
            part, nullable = _resolve(declared, known)
            if part.get("type") == "object" and part.get("properties"):
                self._add_fields({"title": _label(key), **part}, known, sensitive, name)
                continue
            field = _field(part, known, required=key in required and not nullable)
            field.label = declared.get("title") or part.get("title") or _label(key)
            field.help_text = declared.get("description") or part.get("description") or field.help_text
            if "default" in declared and declared["default"] is not None:
                field.initial = declared["default"]
            if example := next(iter(declared.get("examples") or part.get("examples") or []), ""):
                field.widget.attrs.setdefault("placeholder", str(example))
            if name in sensitive or key in sensitive:
                field.widget.attrs["autocomplete"] = "off"
                note = "Shown only to people who may see payloads."
                field.help_text = f"{field.help_text.rstrip('.')}. {note}" if field.help_text else note
            self.fields[name] = field


def _in_order(schema: Json) -> list[tuple[str, Any]]:
    """Return the properties, required ones first, in the order of the model.

    A jsonb column does not keep the order of ``properties``, but that of the list ``required``.
    """
    place = {name: number for number, name in enumerate(schema.get("required", []))}
    properties = schema.get("properties", {})
    return sorted(properties.items(), key=lambda item: place.get(item[0], len(place)))


def _field(schema: Json, known: Json, *, required: bool) -> forms.Field:
    """Return the field that fits a value of ``schema``."""
    if options := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        has_default = schema.get("default") is not None
        blank = [] if has_default else [("", "Choose…" if required else "None")]
        choices = blank + [(str(option), _label(str(option))) for option in options]
        return forms.ChoiceField(required=required or has_default, choices=choices)
    match schema.get("type"):
        case "boolean":
            return forms.BooleanField(required=False)
        case "integer" | "number" as kind:
            step = "1" if kind == "integer" else "any"
            attributes = {"step": step, "inputmode": "numeric" if kind == "integer" else "decimal"}
            return forms.CharField(required=required, widget=forms.NumberInput(attributes | _limits(schema)))
        case "string":
            return _text_field(schema, required=required)
        case "array" if _resolve(schema.get("items", {}), known)[0].get("type") in _SIMPLE:
            return LinesField(required=required, help_text="One on each line.")
        case _:
            return forms.JSONField(
                required=required,
                widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false", "data-mono": ""}),
                help_text="As JSON.",
            )


def _text_field(schema: Json, *, required: bool) -> forms.Field:
    match schema.get("format"):
        case "date":
            return forms.CharField(required=required, widget=forms.TextInput({"type": "date"}))
        case "time":
            return forms.CharField(required=required, widget=forms.TextInput({"type": "time"}))
        case "date-time":
            picker = forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
            return forms.DateTimeField(required=required, widget=picker)
        case "email":
            return forms.CharField(required=required, widget=forms.EmailInput())
        case "uri":
            return forms.CharField(required=required, widget=forms.URLInput())
    if schema.get("maxLength", 0) > _LONG_TEXT:
        widget: forms.Widget = forms.Textarea({"rows": 3, "maxlength": schema["maxLength"]})
    else:
        attributes = {"maxlength": schema["maxLength"]} if "maxLength" in schema else {}
        if "pattern" in schema:
            attributes["pattern"] = schema["pattern"]
        widget = forms.TextInput(attributes)
    return forms.CharField(required=required, widget=widget, strip=True)


def _resolve(schema: Json, known: Json) -> tuple[Json, bool]:
    """Return the schema behind references and unions with null, and whether null is possible.

    A union of a number and its spelling as a string, as Pydantic writes a Decimal, counts as the number.
    """
    nullable = False
    while True:
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**known.get(schema["$ref"].rpartition("/")[2], {}), **rest}
        elif len(schema.get("allOf", [])) == 1:
            schema = {**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}}
        elif "anyOf" in schema:
            options = [option for option in schema["anyOf"] if option.get("type") != "null"]
            nullable = nullable or len(options) < len(schema["anyOf"])
            numbers = [option for option in options if option.get("type") in {"number", "integer"}]
            if len(options) != 1 and not numbers:
                return {"description": schema.get("description", "")}, nullable
            rest = {key: value for key, value in schema.items() if key != "anyOf"}
            schema = {**(numbers or options)[0], **rest}
        else:
            return schema, nullable


def _limits(schema: Json) -> dict[str, Any]:
    names = {"minimum": "min", "maximum": "max", "exclusiveMinimum": "min", "exclusiveMaximum": "max"}
    return {names[name]: schema[name] for name in names if name in schema}


def _label(key: str) -> str:
    return key.replace("_", " ").replace("-", " ").capitalize() if key.islower() else key


def _flat(values: Json, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        yield name, value
