"""Which values are marked as sensitive, wherever in a model they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from workflows.definition.values import Sensitive


def sensitive_fields(annotation: Any) -> list[str]:
    """Return which fields of a model are marked ``Sensitive()``; of models inside it as ``card.number``.

    Looks into optional values and lists. A mapping with something sensitive below its keys counts as a whole.
    """
    return [field for model in _models_in(annotation) for field in _sensitive_in(model, above=())]


def _sensitive_in(model: type[BaseModel], above: tuple[type[BaseModel], ...]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        if any(isinstance(mark, Sensitive) or mark is Sensitive for mark in info.metadata):
            yield name
            continue
        inside = [each for each in _models_in(info.annotation) if each not in (*above, model)]
        below = [field for each in inside for field in _sensitive_in(each, (*above, model))]
        if below and _has_mapping(info.annotation):
            yield name
        else:
            yield from (f"{name}.{field}" for field in below)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _has_mapping(annotation: Any) -> bool:
    origin = get_origin(annotation)
    is_mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    return is_mapping or any(_has_mapping(part) for part in get_args(annotation))
