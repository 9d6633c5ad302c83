"""A step's lock: a format string over the step's values that says what it must have to itself.

``lock="ledger:{invoice.client_id}"`` is read at import, so that a misspelt name is told there and not at night.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from workflows.definition.sensitive import sensitive_fields
from workflows.definition.signatures import did_you_mean
from workflows.definition.values import Effect
from workflows.errors import DefinitionError, InvalidData

if TYPE_CHECKING:
    from workflows.definition.step import Step
    from workflows.definition.workflow import WorkflowDefinition

MAX_KEY = 200


def check_lock(workflow: WorkflowDefinition[Any], step: Step[..., Any]) -> None:
    """Check the step's lock.

    :raises DefinitionError: if it names what the step does not take, or the step's effect needs no lock.
    """
    if step.options.lock is None:
        return
    problem = _problem(workflow, step, step.options.lock)
    if problem:
        end = "" if problem.endswith((".", "?")) else "."
        raise DefinitionError(
            f'{step.body.declared_at}: {step.body.label}: lock="{step.options.lock}" {problem}{end}'
        )


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Return the template with these values in it."""
    return template.format_map(values)


def lock_key(template: str, values: Mapping[str, Any]) -> str:
    """Return the key for these values.

    :raises InvalidData: if it is longer than a key may be.
    """
    key = fill(template, values)
    if len(key) > MAX_KEY:
        raise InvalidData(f"The lock's key is {len(key)} characters long; {MAX_KEY} are possible: {key[:60]}…")
    return key


def _problem(workflow: WorkflowDefinition[Any], step: Step[..., Any], template: str) -> str:
    if step.options.effect is Effect.PURE:
        return "means nothing for a step that changes nothing (Effect.PURE)"
    return problem_of_template(workflow, step, template) or _reveals(workflow, step, template)


def problem_of_template(workflow: WorkflowDefinition[Any], step: Step[..., Any], template: str) -> str:
    """Return what is wrong with a format string over a step's values, "" if nothing."""
    if not template.strip():
        return "is empty"
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as exc:
        return f"cannot be read: {exc}"
    known = {workflow.input_name: workflow.input_type, **step.body.signature.parameters}
    return next((problem for field in fields if (problem := _problem_of(field, known))), "")


def _reveals(workflow: WorkflowDefinition[Any], step: Step[..., Any], template: str) -> str:
    """Return which hidden value the key would show: everybody who may see a run sees the keys of its locks."""
    known = {workflow.input_name: workflow.input_type, **step.body.signature.parameters}
    for _, field, _, _ in string.Formatter().parse(template):
        name, _, attribute = (field or "").partition(".")
        if field and any(hidden.startswith(attribute) for hidden in sensitive_fields(known[name])):
            return f'would show "{field}", which is marked as sensitive'
    return ""


def _problem_of(field: str, known: Mapping[str, Any]) -> str:
    """Return what is wrong with one ``{invoice.client_id}``."""
    name, _, attributes = field.partition(".")
    if name not in known:
        return f'names "{name}", which is neither the input nor a step that it takes.{did_you_mean(name, known)}'
    model, attribute = known[name], attributes.partition(".")[0]
    if not attribute or not (isinstance(model, type) and issubclass(model, BaseModel)):
        return ""
    if attribute in model.model_fields or hasattr(model, attribute):
        return ""
    return f'names "{field}", but {model.__name__} has no "{attribute}".{did_you_mean(attribute, model.model_fields)}'
