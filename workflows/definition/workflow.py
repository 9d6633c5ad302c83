"""A workflow's definition: steps, the edges between them, and the check of both."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from pydantic import BaseModel

from portal.core.permissions import Permission, Role
from workflows.definition import checks, fan_out, registry
from workflows.definition.event import Event, On, WaitTerms, check_subscriptions, check_wait
from workflows.definition.fallbacks import AskOperator, Cached
from workflows.definition.fan_out import FanOutStep
from workflows.definition.schedule import Schedule, problem_of, schedules_of
from workflows.definition.signatures import snake_case
from workflows.definition.step import PausingStep, Step, StepOptions
from workflows.definition.terms import Approval, ApprovalTerms, ChildTerms, Question, Terms, filled_in, quotes_of
from workflows.definition.values import Dependency, Each, Effect, Impact, Item, Objective, Retry, Setting, StepKind
from workflows.errors import DefinitionError

P = ParamSpec("P")
R = TypeVar("R")
I = TypeVar("I", bound=BaseModel)  # noqa: E741 - the input
J = TypeVar("J", bound=BaseModel)
E = TypeVar("E", bound=Event)

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
DEFAULT_TIMEOUT = 30.0


@dataclass(slots=True)
class Plan:
    """The checked order of a workflow: each step after all that it needs."""

    order: tuple[Step[..., Any], ...]
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    after: dict[str, tuple[str, ...]] = field(default_factory=dict)


class WorkflowDefinition(Generic[I]):
    """What an author declares. ``workflows.Workflow`` adds ``start``."""

    def __init__(
        self,
        name: str,
        *,
        version: int,
        owner: str,
        input: type[I],
        objective: Objective | None = None,
        runbook: str = "",
        tier: int = 3,
        title: str = "",
        description: str = "",
        impact: Impact | None = None,
        requires: Sequence[Setting] = (),
        queue: str = "workflows",
        schedule: Schedule | Sequence[Schedule] | None = None,
        on_event: On[Any] | Sequence[On[Any]] = (),
    ) -> None:
        self.declared_at = _line(sys._getframe(1))
        self.name, self.version, self.owner, self.input_type = name, version, owner, input
        self.runbook, self.tier, self.description = runbook, tier, description.strip()
        self.title = title or name.replace("-", " ").capitalize()
        self.impact = impact or Impact()
        self.requires, self.queue = tuple(requires), queue
        self.schedules = schedules_of(schedule)
        self.on_event = (on_event,) if isinstance(on_event, On) else tuple(on_event)
        self.steps: dict[str, Step[..., Any]] = {}
        self._check_header(objective)
        check_subscriptions(self.declared_at, self.on_event)
        assert objective is not None  # noqa: S101 - checked above; narrows the type
        self.objective = objective
        self.input_name = snake_case(input.__name__)
        registry.register(self)

    def __repr__(self) -> str:
        return f"<Workflow {self.name} v{self.version}>"

    def step(
        self,
        *,
        effect: Effect,
        idempotent: bool = True,
        calls: Dependency | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        after: Iterable[Step[..., Any]] = (),
        when: Callable[..., bool] | None = None,
        optional: bool = False,
        fallback: Callable[..., Any] | Cached | AskOperator | None = None,
        lock: str | None = None,
        emits: Iterable[type[Event]] = (),
        title: str = "",
        each: str | None = None,
        concurrency: int = 10,
        tolerate: float = 0,
        item: Item | None = None,
    ) -> Callable[[Callable[P, R]], Step[P, R]]:
        """Add the decorated function as a step.

        :param effect: what it changes outside the run (architecture: effects and their promises).
        :param idempotent: ``False`` for an EXTERNAL call that must never be repeated unasked.
        :param calls: the dependency that it calls, guarded by that dependency's breaker.
        :param timeout: seconds after which an attempt is interrupted; the dependency's, else 30.
        :param retry: how often it is tried; EXTERNAL 5 times, DATABASE 3, PURE 1 if nothing is said.
        :param after: steps that must be done first though no data comes from them.
        :param when: a condition on the same values; if false the step is skipped.
        :param optional: its failure leaves the run degraded instead of failed.
        :param fallback: what takes its place when it has failed: a function, called with the same values; the last
            good output (``Cached``); or a person (``AskOperator``).
        :param lock: what it must have to itself, such as ``"ledger:{invoice.client_id}"``: one run at a time is in a
            step with the same key, in the order in which they came.
        :param each: do it for each item of the list that this step (or ``input.field``) gives. The parameter that
            is neither the input nor a step takes the item; later steps get the list of what was returned.
        :param concurrency: with ``each``, items under way at a time, over all workers.
        :param tolerate: with ``each``, how many items may fail: a number, or a share of them such as 0.05.
        :param item: with ``each``, which fields of an item name it and say what it is worth.
        :param emits: the events that it, or a function that undoes, verifies or replaces it, may emit.
        :raises DefinitionError: for a duplicate name or options that contradict each other.
        """

        def decorate(function: Callable[P, R]) -> Step[P, R]:
            options = StepOptions(
                effect=effect,
                idempotent=idempotent,
                calls=calls,
                timeout=timeout if timeout is not None else calls.timeout if calls else DEFAULT_TIMEOUT,
                retry=retry or _DEFAULT_RETRY[effect],
                after=tuple(after),
                when=when,
                optional=optional,
                fallback=fallback,
                lock=lock,
                title=title,
                each=Each(each, concurrency, tolerate, item or Item()) if each else None,
                emits=tuple(emits),
            )
            checks.check_new_step(self, function, options)
            kind = FanOutStep if each else Step
            step = kind(self.name, function, options)
            self.steps[step.name] = step
            return step

        return decorate

    def sleep(
        self,
        name: str,
        length: timedelta | Callable[..., timedelta | datetime],
        *,
        after: Iterable[Step[..., Any]] = (),
        when: Callable[..., bool] | None = None,
        title: str = "",
    ) -> PausingStep[None]:
        """Add a step that lets time pass. No worker is held meanwhile.

        :param length: how long, or a function of earlier values that returns how long, or until when (with a zone).
        :param after: the steps behind which it stands; a length that is no function has no other place.
        :raises DefinitionError: for a name that is taken or no Python name.
        """
        function = length if callable(length) else lambda: length
        return self._add_pausing_step(
            name, StepKind.SLEEP, function, output_type=type(None), after=after, when=when, title=title
        )

    def approval(
        self,
        name: str,
        *,
        question: str | Callable[..., str | Question],
        permission: Permission = Permission.APPROVE_STEP,
        roles: Iterable[Role] = (),
        expires: timedelta | None = None,
        remind: timedelta | None = None,
        on_reject: Literal["cancel", "continue"] = "cancel",
        on_expiry: Literal["fail", "reject"] = "fail",
        four_eyes: bool = True,
        after: Iterable[Step[..., Any]] = (),
        when: Callable[..., bool] | None = None,
        title: str = "",
    ) -> PausingStep[Approval]:
        """Add a step at which a person says yes or no. Later steps may take the answer, an ``Approval``.

        :param question: what is asked, with values in braces ("Pay {amount}?": fields of the input, or
            ``{step.field}``); or a function of earlier values that returns the text or a ``Question``.
        :param permission: the right that an answer needs on this workflow.
        :param roles: if given, one of these roles is needed as well.
        :param expires: after this time without an answer the step fails, or counts as rejected (``on_expiry``).
        :param remind: after this time without an answer the approval counts as overdue, and that is announced.
        :param on_reject: whether a no ends the run as cancelled, or the run goes on with the answer.
        :param four_eyes: whether whoever started the run may not answer.
        :raises DefinitionError: for a name that is taken, or a question that is no template.
        """
        quotes: tuple[tuple[str, str], ...] = ()
        if isinstance(question, str):
            try:
                quotes = quotes_of(question)
            except ValueError as exc:
                problem = f"{self.name}.{name}: the question cannot be filled in: {exc}."
                raise DefinitionError(f"{_line(sys._getframe(1))}: {problem}") from exc
            question = filled_in(question, self.input_name, frozenset(self.input_type.model_fields))
        terms = ApprovalTerms(permission, tuple(roles), expires, remind, on_reject, on_expiry, four_eyes, quotes)
        return self._add_pausing_step(
            name,
            StepKind.APPROVAL,
            question,
            output_type=Approval,
            after=after,
            when=when,
            title=title,
            terms=terms,
        )

    def child(
        self,
        name: str,
        workflow: WorkflowDefinition[J],
        *,
        input: Callable[..., J],
        after: Iterable[Step[..., Any]] = (),
        when: Callable[..., bool] | None = None,
        optional: bool = False,
        title: str = "",
    ) -> PausingStep[Any]:
        """Add a step that starts a run of another workflow and waits for its end. It gives that run's output.

        A rollback rolls the other run back too; cancelling this run cancels it if it is still under way.

        :param input: a function of earlier values that returns the other workflow's input.
        :param optional: whether this run goes on, degraded, if the other one fails.
        :raises DefinitionError: for a name that is taken or no Python name.
        """
        step = self._add_pausing_step(
            name,
            StepKind.CHILD,
            input,
            output_type=None,
            after=after,
            when=when,
            title=title,
            optional=optional,
            terms=ChildTerms(workflow),
        )
        step.compensate(undo_child)
        return step

    def wait_for(
        self,
        name: str,
        event: type[E],
        *,
        key: Callable[..., str],
        timeout: timedelta,
        after: Iterable[Step[..., Any]] = (),
        when: Callable[..., bool] | None = None,
        title: str = "",
    ) -> PausingStep[E | None]:
        """Add a step at which the run waits for an event; its output is the event, or None if none came in time.

        It may have come before the run does: an event that nobody has taken waits too.

        :param key: a function of earlier values that returns the key of the event.
        :param timeout: how long the run waits, counted from when it came to the step.
        :raises DefinitionError: for a name that is taken, or an event without a name or a key.
        """
        terms = WaitTerms(event, timeout)
        step = self._add_pausing_step(
            name, StepKind.WAIT_FOR, key, output_type=event | None, after=after, when=when, title=title, terms=terms
        )
        check_wait(f"{step.body.declared_at}: {self.name}.{name}", terms)
        return step

    def _add_pausing_step(
        self,
        name: str,
        kind: StepKind,
        function: Callable[..., Any],
        *,
        output_type: Any,
        after: Iterable[Step[..., Any]],
        when: Callable[..., bool] | None,
        title: str,
        optional: bool = False,
        retry: Retry | None = None,
        terms: Terms | None = None,
    ) -> PausingStep[Any]:
        """Add a step at which the run waits. Called by the method that an author calls, whose line is told in errors.

        :raises DefinitionError: for a name that is taken or no Python name.
        """
        declared_at = _line(sys._getframe(2))
        checks.check_new_name(self, name, declared_at)
        options = StepOptions(
            effect=Effect.PURE,
            idempotent=True,
            calls=None,
            timeout=DEFAULT_TIMEOUT,
            retry=retry or Retry(attempts=3),
            after=tuple(after),
            when=when,
            optional=optional,
            fallback=None,
            title=title,
        )
        step: PausingStep[Any] = PausingStep(
            self.name, name, kind, function, options, output_type=output_type, declared_at=declared_at, terms=terms
        )
        self.steps[name] = step
        return step

    @cached_property
    def plan(self) -> Plan:
        """The order of steps, after everything has been checked.

        :raises DefinitionError: naming file, step and parameter of the first mistake.
        """
        for step in self.steps.values():
            if isinstance(step, FanOutStep):
                fan_out.bind(self, step)
        needs = {name: checks.check_step(self, step) for name, step in self.steps.items()}
        after = {name: tuple(s.name for s in step.options.after) for name, step in self.steps.items()}
        order = checks.in_order(self, {name: (*needs[name], *after[name]) for name in self.steps})
        return Plan(tuple(self.steps[name] for name in order), needs, after)

    @property
    def dependencies(self) -> list[Dependency]:
        """The services that its steps call, each once."""
        return list(
            {
                step.options.calls.name: step.options.calls for step in self.steps.values() if step.options.calls
            }.values()
        )

    def _check_header(self, objective: Objective | None) -> None:
        problem = ""
        if not _NAME.fullmatch(self.name):
            problem = 'the name must be lower-case words joined by "-", such as "settle-invoice"'
        elif self.version < 1:
            problem = "version must be 1 or more"
        elif not (isinstance(self.input_type, type) and issubclass(self.input_type, BaseModel)):
            problem = "input must be a Pydantic model class"
        elif objective is None:
            promise = "objective=Objective(success=0.995, within=timedelta(minutes=10))"
            problem = f"objective is missing. Say what is promised: {promise}"
        elif not self.runbook:
            problem = 'runbook is missing. Name the runbook that helps when this fails: runbook="settle-invoice"'
        elif not self.owner:
            problem = "owner is missing. Name the team that answers for it"
        else:
            unknown = [
                f
                for f in (self.impact.amount, self.impact.currency, self.impact.customer)
                if f and f not in self.input_type.model_fields
            ]
            problem = (
                f"impact names {unknown[0]!r}, which is no field of {self.input_type.__name__}"
                if unknown
                else problem_of(self.schedules, self.input_type)
            )
        if problem:
            raise DefinitionError(f'{self.declared_at}: workflow "{self.name}": {problem}.')


def _line(frame: FrameType) -> str:
    """Return "flows.py:12" for a frame, with the folder that holds the file."""
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}:{frame.f_lineno}"


def undo_child() -> None:
    """Rolls back the run that it started."""


_DEFAULT_RETRY = {
    Effect.PURE: Retry(attempts=1),
    Effect.DATABASE: Retry(attempts=3),
    Effect.EXTERNAL: Retry(attempts=5),
}
