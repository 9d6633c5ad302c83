"""The API's reference as plain data: what its OpenAPI description says, in the order of reading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any

from portal.core.openapi import PROBLEM_TYPE, openapi

_METHODS = ("get", "post")
_BODY_TYPE = "application/json"
_REF = "#/components/schemas/"
_WORDS = {"string": "text", "boolean": "true or false", "integer": "whole number"}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a body. ``shape`` names the object that it holds, if it holds one."""

    name: str
    type: str
    words: str
    required: bool
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One way in which an operation answers."""

    status: str
    words: str
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address."""

    name: str
    method: str
    path: str
    summary: str
    words: str
    parameters: list[Field]
    body: list[Field]
    example: str
    responses: list[Response]


@dataclass(frozen=True, slots=True)
class Group:
    """Operations that belong together."""

    name: str
    operations: list[Operation]


@dataclass(frozen=True, slots=True)
class Shape:
    """An object that goes over the wire."""

    name: str
    words: str
    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Reference:
    """All of it."""

    groups: list[Group]
    headers: list[Field]
    problems: list[Response]
    shapes: list[Shape]


@cache
def api_reference() -> Reference:
    """Return the reference; made once in each process."""
    groups: dict[str, list[Operation]] = {}
    headers: dict[str, Field] = {}
    problems: dict[str, Response] = {}
    for path, methods in openapi()["paths"].items():
        for method in _METHODS:
            if method in methods:
                tag = methods[method]["tags"][0]
                groups.setdefault(tag, []).append(_operation(path, method, methods[method]))
                headers |= {p["name"]: _parameter(p) for p in methods[method]["parameters"] if p["in"] == "header"}
                problems |= {r.status: r for r in _responses(methods[method], are_problems=True)}
    return Reference(
        groups=[Group(name.capitalize(), operations) for name, operations in groups.items()],
        headers=list(headers.values()),
        problems=sorted(problems.values(), key=attrgetter("status")),
        shapes=[
            Shape(name, _words(schema), _fields(schema))
            for name, schema in _schemas().items()
            if "properties" in schema
        ],
    )


def _operation(path: str, method: str, operation: Json) -> Operation:
    content = operation.get("requestBody", {}).get("content", {}).get(_BODY_TYPE, {})
    examples = [example["value"] for example in content.get("examples", {}).values()]
    return Operation(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        words=_words(operation),
        parameters=[_parameter(p) for p in operation["parameters"] if p["in"] == "query"],
        body=_fields(_schemas()[_shape(content["schema"])]) if content else [],
        example=json.dumps(examples[0], indent=2, ensure_ascii=False) if examples else "",
        responses=list(_responses(operation, are_problems=False)),
    )


def _parameter(parameter: Json) -> Field:
    schema = parameter["schema"]
    return Field(parameter["name"], _type(schema), _words(parameter), parameter.get("required", False))


def _responses(operation: Json, *, are_problems: bool) -> Iterator[Response]:
    for status, response in operation["responses"].items():
        content = response["content"]
        if (PROBLEM_TYPE in content) == are_problems:
            shape = _shape(content[PROBLEM_TYPE if are_problems else _BODY_TYPE]["schema"])
            yield Response(status, response.get("description", ""), shape)


def _fields(schema: Json) -> list[Field]:
    required = schema.get("required", [])
    return [
        Field(name, _type(value), _words(value), name in required, _shape(value))
        for name, value in schema.get("properties", {}).items()
    ]


def _words(described: Json) -> str:
    """Return a description without the marks of Markdown."""
    return str(described.get("description", "")).replace("`", "")


def _schemas() -> dict[str, Json]:
    schemas: dict[str, Json] = openapi()["components"]["schemas"]
    return schemas


def _shape(schema: Json) -> str:
    """Return the name of the object that a schema refers to, also as the items of a list; else ""."""
    name = _reference(schema) or _reference(schema.get("items", {}))
    return name if "properties" in _schemas().get(name, {}) else ""


def _reference(schema: Json) -> str:
    for part in (schema, *schema.get("allOf", [])):
        if "$ref" in part:
            return str(part["$ref"].removeprefix(_REF))
    return ""


def _type(schema: Json) -> str:
    """Say a schema's type in words: "list of Run", "text (uuid)", "a, b or c", "whole number or null"."""
    name = _reference(schema)
    if schema.get("type") == "array":
        word = f"list of {_type(schema['items'])}"
    elif name:
        word = name if "properties" in _schemas()[name] else _type(_schemas()[name])
    else:
        word = _plain_type(schema)
    return f"{word} or null" if schema.get("nullable") else word


def _plain_type(schema: Json) -> str:
    if "enum" in schema:
        return " | ".join(str(value) or "(empty)" for value in schema["enum"])
    kind = str(schema.get("type", "anything"))
    word = _WORDS.get(kind, kind)
    return f"{word} ({schema['format']})" if "format" in schema else word
