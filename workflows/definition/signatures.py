"""The edges of a workflow are its functions' signatures: reading them, and saying what is wrong with them."""

from __future__ import annotations

import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from workflows.errors import DefinitionError

CONTEXT = "ctx"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes (name to annotation, ``ctx`` apart) and what it returns."""

    parameters: dict[str, Any]
    takes_context: bool
    returns: Any


def where(function: Callable[..., Any]) -> str:
    """Return "file.py:12" for a function, with the folder that holds the file."""
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    path = Path(code.co_filename)
    return f"{path.parent.name}/{path.name}:{code.co_firstlineno}"


def snake_case(name: str) -> str:
    """Turn ``SettlementRequest`` into ``settlement_request``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def read_signature(function: Callable[..., Any], label: str, *, annotated: bool = True) -> Signature:
    """Read a function's signature with its annotations resolved.

    :param annotated: whether every parameter must have an annotation (a lambda cannot).

    :raises DefinitionError: for ``*args``, a missing annotation, or one that cannot be resolved.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except NameError as exc:
        raise DefinitionError(
            f"{where(function)}: {label}: the annotation {exc.name!r} cannot be resolved. "
            "Import it at the top of the file, not under TYPE_CHECKING."
        ) from exc
    parameters: dict[str, Any] = {}
    takes_context = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            raise DefinitionError(
                f"{where(function)}: {label}: parameter *{parameter.name} is not possible; name each input."
            )
        if parameter.name == CONTEXT:
            takes_context = True
        elif parameter.name not in hints and annotated:
            raise DefinitionError(f"{where(function)}: {label}: parameter {parameter.name!r} has no annotation.")
        else:
            parameters[parameter.name] = hints.get(parameter.name, Any)
    return Signature(parameters, takes_context, hints.get("return", inspect.Signature.empty))


def accepts_none(annotation: Any) -> bool:
    """Tell whether None is a value of the annotation."""
    return annotation in (None, type(None), Any) or type(None) in _members(annotation)


def _members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def fits(given: Any, wanted: Any) -> bool:
    """Tell whether every value of ``given`` may be passed where ``wanted`` is annotated.

    Equal types fit, a subclass fits its base, each member of a union must fit some member. Generic
    types must be equal: a checkpoint is validated against ``wanted`` when it is loaded anyway.
    """
    if wanted is Any:
        return True
    return all(any(_fits_one(one, other) for other in _members(wanted)) for one in _members(given))


def _fits_one(given: Any, wanted: Any) -> bool:
    if given == wanted:
        return True
    return isinstance(given, type) and isinstance(wanted, type) and issubclass(given, wanted)


def name_of(annotation: Any) -> str:
    """Return an annotation as an author would write it."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return "None" if annotation is type(None) else annotation.__name__
    return str(annotation).replace("typing.", "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ' Did you mean "charge"?' for the nearest known name, or the list of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f' Did you mean "{near[0]}"?'
    return f" Known here: {', '.join(known) or 'nothing'}."
