"""The public API for workflow authors; import these names from ``workflows``."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from portal.core.actor import SYSTEM, Actor
from workflows.definition.context import StepContext
from workflows.definition.event import Event, On
from workflows.definition.fallbacks import AskOperator, Cached
from workflows.definition.schedule import Schedule
from workflows.definition.terms import Approval, Question
from workflows.definition.values import (
    Breaker,
    Dependency,
    Effect,
    Impact,
    Item,
    Objective,
    Rate,
    Retry,
    Secret,
    Sensitive,
    Setting,
)
from workflows.definition.workflow import WorkflowDefinition
from workflows.errors import (
    BusinessRuleViolation,
    ConfigurationError,
    DefinitionError,
    DependencyUnavailable,
    InvalidData,
    OutcomeUnknown,
    PermanentError,
    RateLimited,
    StaleRecord,
    TransientError,
)
from workflows.services.start import StartedRun, start_run
from workflows.versioned import update_versioned

I = TypeVar("I", bound=BaseModel)  # noqa: E741 - the input

__all__ = [
    "Approval",
    "AskOperator",
    "Breaker",
    "BusinessRuleViolation",
    "Cached",
    "ConfigurationError",
    "DefinitionError",
    "Dependency",
    "DependencyUnavailable",
    "Effect",
    "Event",
    "Impact",
    "InvalidData",
    "Item",
    "Objective",
    "On",
    "OutcomeUnknown",
    "PermanentError",
    "Question",
    "Rate",
    "RateLimited",
    "Retry",
    "Schedule",
    "Secret",
    "Sensitive",
    "Setting",
    "StaleRecord",
    "StepContext",
    "TransientError",
    "Workflow",
    "update_versioned",
]


class Workflow(WorkflowDefinition[I]):
    """A workflow. Declaring one in an installed app's ``flows.py`` registers it."""

    def start(
        self,
        input: I,
        *,
        idempotency_key: str | None = None,
        actor: Actor = SYSTEM,
        correlation_id: str | None = None,
    ) -> StartedRun:
        """Start a run, inside the caller's transaction if there is one: it exists exactly if that commits.

        :param idempotency_key: the same key returns the first run instead of starting a second.
        :raises Forbidden: if the actor may not start this workflow.
        """
        return start_run(
            actor=actor,
            workflow=self.name,
            input=input,
            idempotency_key=idempotency_key,
            correlation_id=correlation_id,
        )
