"""Workflows that survive: the authoring API. Import everything that a ``flows.py`` needs from here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflows.authoring import (
        Approval,
        AskOperator,
        Breaker,
        BusinessRuleViolation,
        Cached,
        ConfigurationError,
        DefinitionError,
        Dependency,
        DependencyUnavailable,
        Effect,
        Event,
        Impact,
        InvalidData,
        Item,
        Objective,
        On,
        OutcomeUnknown,
        PermanentError,
        Question,
        Rate,
        RateLimited,
        Retry,
        Schedule,
        Secret,
        Sensitive,
        Setting,
        StaleRecord,
        StepContext,
        TransientError,
        Workflow,
        update_versioned,
    )

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


def __getattr__(name: str) -> Any:
    """Load the authoring API on first use: Django imports this package before its models are ready."""
    if name in __all__:
        return getattr(import_module("workflows.authoring"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
