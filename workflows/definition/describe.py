"""A definition as JSON: for the map, the start form, and to see what changed between versions."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from workflows.definition.event import contract_of
from workflows.definition.fallbacks import describe_fallback
from workflows.definition.fan_out import FanOutStep
from workflows.definition.sensitive import sensitive_fields
from workflows.definition.step import PausingStep, Step
from workflows.definition.values import Effect
from workflows.definition.workflow import WorkflowDefinition


def describe(workflow: WorkflowDefinition[Any]) -> dict[str, Any]:
    """Return the definition as plain JSON values (the shape is documented in docs/architecture.md)."""
    impact = workflow.impact
    return {
        "slug": workflow.name,
        "version": workflow.version,
        "title": workflow.title,
        "description": workflow.description,
        "owner": workflow.owner,
        "tier": workflow.tier,
        "runbook": workflow.runbook,
        "objective": {
            "success": workflow.objective.success,
            "within_seconds": workflow.objective.within.total_seconds(),
        },
        "impact": {"amount": impact.amount, "currency": impact.currency, "customer": impact.customer},
        "requires": [{"name": s.name, "kind": s.kind, "secret": s.is_secret} for s in workflow.requires],
        "input": {
            "name": workflow.input_name,
            "fields": list(workflow.input_type.model_fields),  # in order, which jsonb does not keep
            "schema": workflow.input_type.model_json_schema(),
            "sensitive": sensitive_fields(workflow.input_type),
        },
        "steps": [_describe_step(workflow, step, number) for number, step in enumerate(workflow.plan.order)],
        "dependencies": [
            {"name": d.name, "availability": d.availability, "timeout_seconds": d.timeout}
            for d in workflow.dependencies
        ],
        # Only where there is one: the digest of versions without stays what it was.
        **(
            {"on_event": [contract_of(on.event).described() for on in workflow.on_event]} if workflow.on_event else {}
        ),
    }


def _describe_step(workflow: WorkflowDefinition[Any], step: Step[..., Any], position: int) -> dict[str, Any]:
    options = step.options
    retry = options.retry
    terms = step.terms if isinstance(step, PausingStep) else None
    return {
        "name": step.name,
        "title": step.title,
        "description": step.description,
        "position": position,
        "kind": step.kind.value,
        "effect": options.effect.value,
        "idempotent": options.idempotent,
        "calls": options.calls.name if options.calls else None,
        "timeout_seconds": options.timeout,
        "retry": None
        if retry.attempts == 1
        else {"attempts": retry.attempts, "base_seconds": retry.base, "cap_seconds": retry.cap},
        "needs": list(workflow.plan.needs[step.name]),
        "after": list(workflow.plan.after[step.name]),
        "conditional": step.condition is not None,
        "optional": options.optional,
        **describe_fallback(options.fallback),
        "compensates": step.compensation is not None,
        "verifies": step.verification is not None,
        "repeatable": options.effect is not Effect.EXTERNAL or options.idempotent,
        "sensitive": sensitive_fields(step.output_type),
        # Only where there is one: the digest of versions without stays what it was.
        **({"lock": options.lock} if options.lock else {}),
        **({"emits": [contract_of(event).described() for event in options.emits]} if options.emits else {}),
        **({"terms": terms.described()} if terms else {}),
        **({"each": _describe_each(step)} if isinstance(step, FanOutStep) else {}),
    }


def _describe_each(step: FanOutStep[..., Any]) -> dict[str, Any]:
    each = step.each
    return {
        "over": each.over,
        "item": step.item_name,
        "concurrency": each.concurrency,
        "tolerate": each.tolerate,
        "sensitive": sensitive_fields(step.item_type),
    }


def digest(description: dict[str, Any]) -> str:
    """Return the SHA-256 (hex) of a description, the same for the same content."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
