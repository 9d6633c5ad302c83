"""What takes a step's place when it has failed for good, where that is no function of the author.

Without a fallback a step whose service is away *waits* for it, which is what is right most of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from portal.core.durations import duration_words
from workflows.definition.locking import problem_of_template
from workflows.definition.values import Effect
from workflows.errors import DefinitionError

if TYPE_CHECKING:
    from workflows.definition.step import Step
    from workflows.definition.workflow import WorkflowDefinition


@dataclass(frozen=True, slots=True)
class Cached:
    """The last good output of the same step, if it is not too old. For a step that only looks something up.

    :param max_age: an older one is not used; the step fails then.
    :param key: what the output depends on, such as ``"{invoice.currency}"``; without it, on all that the step takes.
    """

    max_age: timedelta
    key: str | None = None

    def __post_init__(self) -> None:
        if self.max_age <= timedelta(0):
            raise ValueError("Cached.max_age must be longer than nothing")


@dataclass(frozen=True, slots=True)
class AskOperator:
    """The run waits for a person, who skips the step with an output of their own, or resumes to try it again.

    :param question: what the person is asked, such as "What is today's rate? The bank prints it on its page."
    """

    question: str

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise ValueError("AskOperator needs a question")


def describe_fallback(fallback: object) -> dict[str, Any]:
    """Return what a definition's description says of a fallback."""
    match fallback:
        case None:
            return {"fallback": None}
        case Cached(max_age=age):
            return {"fallback": f"its last good value, at most {duration_words(age)} old,", "fallback_kind": "cached"}
        case AskOperator(question=question):
            return {"fallback": question, "fallback_kind": "ask"}
        case _:
            return {"fallback": getattr(fallback, "__name__", "a function")}


def check_fallback(workflow: WorkflowDefinition[Any], step: Step[..., Any]) -> None:
    """Check a fallback to the last good output.

    :raises DefinitionError: if the step does something that an old output cannot stand for, or the key is wrong.
    """
    cached = step.options.fallback
    if not isinstance(cached, Cached):
        return
    problem = ""
    if step.options.effect is Effect.DATABASE or not step.options.idempotent:
        problem = "an earlier output cannot stand for something that was to be done; Cached is for looking things up"
    elif step.options.each:
        problem = "Cached is for single steps; what each= gives is put together from its items"
    elif not step.has_output:
        problem = "it returns nothing, so there is nothing to keep for Cached"
    elif cached.key is not None and (wrong := problem_of_template(workflow, step, cached.key)):
        problem = f'Cached(key="{cached.key}") {wrong}'
    if problem:
        end = "" if problem.endswith((".", "?")) else "."
        raise DefinitionError(f"{step.body.declared_at}: {step.body.label}: {problem}{end}")
