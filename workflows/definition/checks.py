"""What can be wrong with a step, told with file, step and parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError

from workflows.definition.fallbacks import check_fallback
from workflows.definition.fan_out import FanOutStep
from workflows.definition.locking import check_lock
from workflows.definition.sensitive import sensitive_fields
from workflows.definition.signatures import accepts_none, did_you_mean, fits, name_of, where
from workflows.definition.step import Function, PausingStep, Step, StepOptions
from workflows.definition.terms import ApprovalTerms, ChildTerms
from workflows.definition.values import Each, Effect
from workflows.errors import DefinitionError

if TYPE_CHECKING:
    from workflows.definition.workflow import WorkflowDefinition


def check_new_step(workflow: WorkflowDefinition[Any], function: Callable[..., Any], options: StepOptions) -> None:
    """Check what can be known when the decorator runs.

    :raises DefinitionError: for a duplicate name, or options that contradict each other.
    """
    name = function.__name__
    check_new_name(workflow, name, where(function))
    problem = ""
    if not options.idempotent and options.effect is not Effect.EXTERNAL:
        problem = "idempotent=False only means something with effect=Effect.EXTERNAL"
    elif options.calls and options.effect is not Effect.EXTERNAL:
        problem = f'it calls "{options.calls.name}", so its effect must be Effect.EXTERNAL'
    elif options.timeout <= 0:
        problem = "timeout must be more than 0 seconds"
    elif any(event.__contract__ is None for event in options.emits):
        problem = "emits= names an event without a name that others could know it by"
    elif inspect.iscoroutinefunction(function):
        problem = "it is an async function; steps are plain functions"
    elif options.each:
        problem = _problem_of_each(options, options.each)
    if not problem:
        return
    raise DefinitionError(f"{where(function)}: {workflow.name}.{name}: {problem}.")


def _problem_of_each(options: StepOptions, each: Each) -> str:
    """Return what is wrong with the options of a fan-out, "" if nothing is."""
    is_share = isinstance(each.tolerate, float)
    if each.concurrency < 1:
        return "concurrency must be 1 or more"
    if each.tolerate < 0 or (is_share and each.tolerate > 1):
        return "tolerate is a number of items such as 3, or a share of them such as 0.05"
    if options.lock:
        return "lock= is for single steps; the items of each= would wait for one another"
    if not options.idempotent:
        return "each= needs a call that may be repeated under its operation key; idempotent=False is for single steps"
    return ""


def check_new_name(workflow: WorkflowDefinition[Any], name: str, declared_at: str) -> None:
    """Check the name of a new step.

    :raises DefinitionError: if it is no Python name, or taken by another step or the input.
    """
    if not name.isidentifier() or name.startswith("_"):
        problem = f"{name!r} cannot be taken as a parameter; name it like a function"
    elif name in workflow.steps:
        problem = f"there is a step of this name already, at {workflow.steps[name].body.declared_at}"
    elif name == workflow.input_name:
        problem = f'the name is taken by the input, which steps call "{workflow.input_name}"'
    else:
        return
    raise DefinitionError(f"{declared_at}: {workflow.name}.{name}: {problem}.")


def check_step(workflow: WorkflowDefinition[Any], step: Step[..., Any]) -> tuple[str, ...]:
    """Check a step and its helpers; return the names of what it takes values from.

    :raises DefinitionError: for an unknown parameter, a mismatched or missing annotation.
    """
    if isinstance(step, PausingStep):
        _check_terms(workflow, step)
    if step.output_type is inspect.Signature.empty:
        raise _error(step.body, "it needs a return annotation (-> None if it returns nothing)")
    try:
        TypeAdapter(step.output_type)
    except PydanticSchemaGenerationError as exc:
        raise _error(
            step.body,
            f"its output {name_of(step.output_type)} cannot be kept as JSON; return a Pydantic model",
        ) from exc
    for other in step.options.after:
        if workflow.steps.get(other.name) is not other:
            raise _error(step.body, f'after= names "{other.name}", which is no step of this workflow')
    needs = _check_parameters(workflow, step, step.body, own_output=False, own=step.own_parameters)
    for helper in (step.condition, step.replacement, step.verification):
        if helper:
            _check_parameters(workflow, step, helper, own_output=False)
    if step.compensation:
        _check_parameters(workflow, step, step.compensation, own_output=True, own=step.own_parameters)
    _check_helper_outputs(step)
    check_lock(workflow, step)
    check_fallback(workflow, step)
    return _needs_of_fan_out(step, needs) if isinstance(step, FanOutStep) else needs


def _needs_of_fan_out(step: FanOutStep[..., Any], needs: tuple[str, ...]) -> tuple[str, ...]:
    if step.verification:
        raise _error(step.verification, "a step with each= is not verified; its items are repeated under their keys")
    return tuple(dict.fromkeys((step.source or "input", *needs)))


def _check_terms(workflow: WorkflowDefinition[Any], step: PausingStep[Any]) -> None:
    if isinstance(step.terms, ApprovalTerms):
        problem = _problem_of_approval(workflow, step, step.terms)
    elif isinstance(step.terms, ChildTerms):
        problem = _problem_of_child(workflow, step, step.terms)
    else:
        return
    if problem:
        raise _error(step.body, problem)


def _problem_of_approval(workflow: WorkflowDefinition[Any], step: PausingStep[Any], terms: ApprovalTerms) -> str:
    for name, attribute in terms.quotes:
        if name in workflow.input_type.model_fields:
            model, attribute = workflow.input_type, name
        elif name == workflow.input_name:
            model = workflow.input_type
        elif name in workflow.steps:
            model = workflow.steps[name].output_type
        else:
            known = [*workflow.input_type.model_fields, *(other for other in workflow.steps if other != step.name)]
            return f'the question names "{name}", which is neither a field of the input nor a step.' + did_you_mean(
                name, known
            )
        if not (isinstance(model, type) and issubclass(model, BaseModel) and attribute):
            continue
        if attribute not in model.model_fields:
            return f'the question names "{attribute}", which is no field of {model.__name__}'
        if attribute in sensitive_fields(model):
            return f'the question shows "{attribute}" to everybody who may see the run, but it is Sensitive'
    if terms.remind and terms.expires and terms.remind >= terms.expires:
        return "remind= must be shorter than expires="
    if terms.on_expiry == "reject" and terms.expires is None:
        return 'on_expiry="reject" needs expires='
    return ""


def _problem_of_child(workflow: WorkflowDefinition[Any], step: PausingStep[Any], terms: ChildTerms) -> str:
    if _starts(terms.workflow, workflow, seen=set()):
        return f'"{terms.workflow.name}" starts runs of "{workflow.name}" itself, so this would never end'
    given = step.body.signature.returns
    if given is not inspect.Signature.empty and not fits(given, terms.workflow.input_type):
        wanted = name_of(terms.workflow.input_type)
        return f"input= returns {name_of(given)}, but {terms.workflow.name} takes {wanted}"
    return ""


def _starts(workflow: WorkflowDefinition[Any], wanted: WorkflowDefinition[Any], seen: set[str]) -> bool:
    """Tell whether runs of ``workflow`` start runs of ``wanted``, themselves or through others."""
    if workflow.name == wanted.name:
        return True
    seen.add(workflow.name)
    children = [
        step.terms.workflow
        for step in workflow.steps.values()
        if isinstance(step, PausingStep) and isinstance(step.terms, ChildTerms)
    ]
    return any(_starts(child, wanted, seen) for child in children if child.name not in seen)


def _check_parameters(
    workflow: WorkflowDefinition[Any],
    step: Step[..., Any],
    function: Function,
    *,
    own_output: bool,
    own: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[str, ...]:
    needs: list[str] = []
    for name, annotation in function.signature.parameters.items():
        if name in own:
            _check_type(function, name, own[name], annotation, "the list")
            continue
        if name == workflow.input_name:
            _check_type(function, name, workflow.input_type, annotation, "the input")
            needs.append("input")
            continue
        source = workflow.steps.get(name)
        if source is None:
            known = [workflow.input_name, *(s for s in workflow.steps if s != step.name)]
            raise _error(
                function,
                f'parameter "{name}" is neither the input ("{workflow.input_name}") nor a step.'
                f"{did_you_mean(name, known)}",
            )
        if source is step and not own_output:
            raise _error(function, f'parameter "{name}" is the step itself; a step cannot take its own output')
        _check_source(function, name, source, annotation, own=source is step)
        needs.append(name)
    return tuple(needs)


def _check_source(function: Function, name: str, source: Step[..., Any], annotation: Any, *, own: bool) -> None:
    given = source.undone_type if own else source.output_type
    if given is inspect.Signature.empty:
        raise _error(source.body, "it needs a return annotation (-> None if it returns nothing)")
    if given is type(None):
        raise _error(
            function, f'parameter "{name}": step "{name}" returns nothing; use after=[{name}] for order alone'
        )
    if not own and source.may_lack_output and not accepts_none(annotation):
        why = "optional" if source.options.optional else "conditional"
        raise _error(
            function,
            f'parameter "{name}": step "{name}" is {why}, so there may be no output; '
            f"annotate it {name_of(annotation)} | None",
        )
    _check_type(function, name, given, annotation, f'step "{name}"')


def _check_type(function: Function, name: str, given: Any, wanted: Any, source: str) -> None:
    if not fits(given, wanted):
        raise _error(
            function,
            f'parameter "{name}" is annotated {name_of(wanted)}, but {source} gives {name_of(given)}',
        )


def _check_helper_outputs(step: Step[..., Any]) -> None:
    if step.replacement and not fits(step.replacement.signature.returns, step.output_type):
        given, wanted = name_of(step.replacement.signature.returns), name_of(step.output_type)
        raise _error(step.replacement, f"it returns {given}, but the step returns {wanted}")
    if step.verification:
        returns = step.verification.signature.returns
        expected = step.output_type | None if step.has_output else bool
        if not fits(returns, expected):
            raise _error(
                step.verification,
                f"it returns {name_of(returns)}; it must return {name_of(expected)}: "
                + ("the output if it happened, None if not" if step.has_output else "whether it happened"),
            )
    if step.condition and step.condition.signature.returns not in (bool, inspect.Signature.empty):
        raise _error(step.condition, "it must return bool")


def in_order(workflow: WorkflowDefinition[Any], edges: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the steps so that each comes after all that it needs; ties as they are written in the file.

    :raises DefinitionError: for a workflow without steps, or steps that wait on each other in a ring.
    """
    if not workflow.steps:
        raise DefinitionError(f'{workflow.declared_at}: workflow "{workflow.name}" has no steps.')
    sorter = TopologicalSorter({name: [e for e in needs if e != "input"] for name, needs in edges.items()})
    try:
        sorter.prepare()
    except CycleError as exc:
        ring = " -> ".join(exc.args[1])
        step = workflow.steps[exc.args[1][0]]
        raise _error(step.body, f"steps wait on each other in a ring: {ring}") from exc
    written = list(workflow.steps)
    order: list[str] = []
    ready: set[str] = set()
    while sorter.is_active():
        ready.update(sorter.get_ready())
        first = min(ready, key=written.index)
        ready.remove(first)
        order.append(first)
        sorter.done(first)
    return order


def _error(function: Function, problem: str) -> DefinitionError:
    end = "" if problem.endswith((".", "?")) else "."
    return DefinitionError(f"{function.declared_at}: {function.label}: {problem}{end}")
