"""A step that is done once for each item of a list: which list, which parameter takes the item, what it gives."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from workflows.definition.sensitive import sensitive_fields
from workflows.definition.signatures import accepts_none, did_you_mean, fits, name_of
from workflows.definition.step import Step
from workflows.definition.values import Each, StepKind
from workflows.errors import DefinitionError

if TYPE_CHECKING:
    from workflows.definition.workflow import WorkflowDefinition

P = ParamSpec("P")
R = TypeVar("R")


class FanOutStep(Step[P, R]):
    """A step with ``each=``. Its body is called with one item; later steps get the list of what it gave.

    The item goes to the one parameter that is neither the input nor a step.
    """

    kind = StepKind.EACH
    item_name = ""
    item_type: Any = None
    has_gaps = False

    @property
    def each(self) -> Each:
        """What the decorator was told of the fan-out."""
        assert self.options.each is not None  # noqa: S101 - that is what makes it a fan-out
        return self.options.each

    @property
    def source(self) -> str:
        """The step that gives the list; "" if the input does."""
        return "" if "." in self.each.over else self.each.over

    @property
    def field(self) -> str:
        """The field of the input that holds the list; "" if a step gives it."""
        return self.each.over.partition(".")[2]

    @property
    def given(self) -> Any:
        """What the body returns for one item."""
        return self.body.signature.returns

    @property
    def undone_type(self) -> Any:
        """What the compensation gets under the step's own name: what the body gave for the item."""
        return self.given

    @property
    def own_parameters(self) -> Mapping[str, Any]:
        """The item, by the name that its parameter has."""
        return {self.item_name: self.item_type}

    @property
    def output_type(self) -> Any:
        """A list in the order of the items; None in it for an item that failed and was tolerated."""
        if self.given in (type(None), inspect.Signature.empty):
            return self.given
        return list[Union[self.given, None]] if self.has_gaps else list[self.given]  # type: ignore[name-defined] # noqa: UP007

    @cached_property
    def _item_adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.item_type)

    @cached_property
    def _given_adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.given)

    def load_item(self, value: Any) -> Any:
        """Return an item from plain JSON values."""
        return self._item_adapter.validate_python(value)

    def load_given(self, value: Any) -> Any:
        """Return what the body gave for an item from plain JSON values."""
        return self._given_adapter.validate_python(value)

    def dump_given(self, output: object) -> Any:
        """Return what the body gave for an item as plain JSON values.

        :raises pydantic.ValidationError: if it is not what the annotation promises.
        """
        return self._given_adapter.dump_python(self._given_adapter.validate_python(output), mode="json")


def bind(workflow: WorkflowDefinition[Any], step: FanOutStep[..., Any]) -> None:
    """Find the list and the parameter that takes its items.

    :raises DefinitionError: naming file, step and parameter, if either is not there or does not fit.
    """
    element = _element(workflow, step)
    item_type = _without_none(element)
    known = {workflow.input_name, *workflow.steps}
    unknown = [name for name in step.body.signature.parameters if name not in known]
    if len(unknown) != 1:
        also = f"; neither the input nor a step: {', '.join(unknown)}" if unknown else ""
        raise _error(
            step, f"each= needs exactly one parameter for the item, such as item: {name_of(item_type)}{also}"
        )
    annotation = step.body.signature.parameters[unknown[0]]
    if not fits(item_type, annotation):
        raise _error(
            step,
            f'parameter "{unknown[0]}" is neither the input nor a step, so it takes the items of '
            f'each="{step.each.over}"; it is annotated {name_of(annotation)}, but they are {name_of(item_type)}',
        )
    step.item_name, step.item_type = unknown[0], item_type
    step.has_gaps = step.each.tolerate > 0 or accepts_none(element)
    _check_fields(step)


def _element(workflow: WorkflowDefinition[Any], step: FanOutStep[..., Any]) -> Any:
    """Return the type of the list's elements."""
    over = step.each.over
    if step.field:
        fields = workflow.input_type.model_fields
        if over.partition(".")[0] != workflow.input_name or step.field not in fields:
            known = [f"{workflow.input_name}.{name}" for name in fields]
            raise _error(step, f'each="{over}" is no field of the input.{did_you_mean(over, known)}')
        given, what = fields[step.field].annotation, f'field "{step.field}" of the input'
    else:
        before = [name for name in workflow.steps if list(workflow.steps).index(name) < _place(workflow, step)]
        if step.source not in before:
            raise _error(step, f'each="{over}" is no step above this one.{did_you_mean(over, before)}')
        source = workflow.steps[step.source]
        if source.may_lack_output:
            raise _error(step, f'each="{over}": that step is optional or conditional, so there may be no list')
        given, what = source.output_type, f'step "{over}"'
    if get_origin(given) is Annotated:
        given = get_args(given)[0]
    if get_origin(given) is not list:
        raise _error(step, f'each="{over}" needs a list, such as list[Invoice], but {what} gives {name_of(given)}')
    return get_args(given)[0]


def _place(workflow: WorkflowDefinition[Any], step: FanOutStep[..., Any]) -> int:
    return list(workflow.steps).index(step.name)


def _without_none(annotation: Any) -> Any:
    """Return what is left of an annotation without None."""
    rest = [part for part in get_args(annotation) if part is not type(None)]
    if not accepts_none(annotation) or annotation is Any or not rest:
        return annotation
    return Union[tuple(rest)]  # noqa: UP007 - of types that are only known here


def _check_fields(step: FanOutStep[..., Any]) -> None:
    wanted = step.each.item
    named = [name for name in (wanted.name, wanted.amount, wanted.currency) if name]
    is_model = isinstance(step.item_type, type) and issubclass(step.item_type, BaseModel)
    fields = list(step.item_type.model_fields) if is_model else []
    for name in named:
        if name not in fields:
            raise _error(step, f"item= names {name!r}, which is no field of {name_of(step.item_type)}")
        if name in sensitive_fields(step.item_type):
            raise _error(step, f"item= shows {name!r} to everybody who may see the run, but it is Sensitive")


def _error(step: FanOutStep[..., Any], problem: str) -> DefinitionError:
    end = "" if problem.endswith((".", "?")) else "."
    return DefinitionError(f"{step.body.declared_at}: {step.body.label}: {problem}{end}")
