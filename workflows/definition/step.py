"""One step of a workflow: its function, its promises, and the functions that undo, verify or replace it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar

from pydantic import TypeAdapter

from workflows.definition.event import Event
from workflows.definition.fallbacks import AskOperator, Cached
from workflows.definition.signatures import CONTEXT, Signature, read_signature, where
from workflows.definition.terms import ChildTerms, Terms
from workflows.definition.values import Dependency, Each, Effect, Retry, StepKind
from workflows.errors import DefinitionError

P = ParamSpec("P")
R = TypeVar("R")
Helper = TypeVar("Helper", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class StepOptions:
    """What the ``step`` decorator was told. Times in seconds."""

    effect: Effect
    idempotent: bool
    calls: Dependency | None
    timeout: float
    retry: Retry
    after: tuple[Step[..., Any], ...]
    when: Callable[..., bool] | None
    optional: bool
    fallback: Callable[..., Any] | Cached | AskOperator | None
    title: str
    lock: str | None = None
    each: Each | None = None
    emits: tuple[type[Event], ...] = ()


class Function:
    """A function of an author, bound by name: it is called with the values that its signature asks for."""

    def __init__(
        self, function: Callable[..., Any], label: str, *, annotated: bool = True, declared_at: str = ""
    ) -> None:
        self.call = function
        self.label = label
        self.declared_at = declared_at or where(function)
        self._annotated = annotated

    @cached_property
    def signature(self) -> Signature:
        """The signature, read once (at the check after import)."""
        return read_signature(self.call, self.label, annotated=self._annotated)

    def __call__(self, values: Mapping[str, Any], context: Any) -> Any:
        """Call the function with those ``values`` (by name) that it takes, and ``ctx`` if it takes that."""
        arguments = {name: values[name] for name in self.signature.parameters}
        if self.signature.takes_context:
            arguments[CONTEXT] = context
        return self.call(**arguments)


class Step(Generic[P, R]):
    """A step. Calling it calls the plain function, so that a unit test can."""

    kind = StepKind.WORK

    def __init__(self, workflow: str, function: Callable[P, R], options: StepOptions, *, name: str = "") -> None:
        self.workflow = workflow
        self.function = function
        self.options = options
        self.name = name or function.__name__
        self.title = options.title or self.name.replace("_", " ").capitalize()
        self.description = (function.__doc__ or "").strip()
        self.body = Function(function, f"{workflow}.{self.name}")
        self.compensation: Function | None = None
        self.verification: Function | None = None
        label = f"{workflow}.{self.name}"
        self.condition = Function(options.when, f"{label} (when)", annotated=False) if options.when else None
        self.replacement = Function(options.fallback, f"{label} (fallback)") if callable(options.fallback) else None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Step {self.workflow}.{self.name}>"

    def compensate(self, function: Helper) -> Helper:
        """Name the function that undoes this step. It may take the step's own output, by the step's name."""
        if self.compensation:
            raise DefinitionError(f"{self.workflow}.{self.name} has a compensation already")
        self.compensation = Function(function, f"{self.workflow}.{self.name} (compensate)")
        return function

    def verify(self, function: Helper) -> Helper:
        """Name the function that finds out whether this step's effect happened.

        It returns the step's output if it did and None if it did not (a step without an output: True or False).
        """
        if self.verification:
            raise DefinitionError(f"{self.workflow}.{self.name} has a verification already")
        self.verification = Function(function, f"{self.workflow}.{self.name} (verify)")
        return function

    @property
    def output_type(self) -> Any:
        """The return annotation; ``NoneType`` for a step without an output."""
        return self.body.signature.returns

    @property
    def undone_type(self) -> Any:
        """What the compensation gets under the step's own name."""
        return self.output_type

    @property
    def own_parameters(self) -> Mapping[str, Any]:
        """What the body takes besides the input and other steps' outputs, by name."""
        return {}

    @property
    def has_output(self) -> bool:
        """Whether later steps can take this step's output."""
        return self.output_type is not type(None)

    @property
    def may_lack_output(self) -> bool:
        """Whether a run can go on without this step's output."""
        return self.options.optional or self.condition is not None

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Turns outputs into JSON and back."""
        return TypeAdapter(self.output_type)

    def dump(self, output: object) -> Any:
        """Return the output as plain JSON values.

        :raises pydantic.ValidationError: if it is not what the annotation promises.
        """
        return self.adapter.dump_python(self.adapter.validate_python(output), mode="json")

    def load(self, value: Any) -> Any:
        """Return the output from plain JSON values."""
        return self.adapter.validate_python(value)


class PausingStep(Step[..., R]):
    """A step at which the run waits for something that is no function of the author: a time, an event, a person.

    ``function`` tells what exactly from the values before it (a key, a date, another workflow's input); its
    signature makes the edges, as a body's does. The engine's part of each kind is in ``workflows.engine.pauses``.
    """

    def __init__(
        self,
        workflow: str,
        name: str,
        kind: StepKind,
        function: Callable[..., Any],
        options: StepOptions,
        *,
        output_type: Any,
        declared_at: str,
        terms: Terms | None = None,
    ) -> None:
        super().__init__(workflow, function, options, name=name)
        self.kind = kind
        self.description = ""
        self.body = Function(function, f"{workflow}.{name}", annotated=False, declared_at=declared_at)
        self._output_type = output_type
        self.terms = terms

    @property
    def output_type(self) -> Any:
        """What the step gives once the wait is over."""
        return self.terms.output_type if isinstance(self.terms, ChildTerms) else self._output_type
