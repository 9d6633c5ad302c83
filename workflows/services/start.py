"""Starting a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from pydantic import BaseModel, ValidationError

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.correlation import current_correlation_id, new_correlation_id
from portal.core.errors import IdempotencyKeyReused, InvalidInput, NotFound
from portal.core.permissions import Permission
from workflows import dispatch
from workflows.definition import registry
from workflows.engine import store
from workflows.engine.state import RunStatus
from workflows.models import Run, Workflow
from workflows.services.registration import known_workflow, registered_workflow

MAX_KEY = 200


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run, and whether this call made it (False: its idempotency key was used before)."""

    run: Run
    created: bool


@dataclass(frozen=True, slots=True)
class ChildOf:
    """That a step of another run starts this one, which gets ``run_id``."""

    run_id: UUID
    parent_id: UUID
    step: str


def start_run(
    *,
    actor: Actor,
    workflow: str,
    input: Mapping[str, Any] | BaseModel,
    idempotency_key: str | None = None,
    correlation_id: str | None = None,
    reason: str = "",
    child_of: ChildOf | None = None,
) -> StartedRun:
    """Start a run of the workflow's latest version, inside the caller's transaction if there is one.

    The run is one row; a worker is told after the commit. If the broker is down the run is accepted all the
    same, and the dispatcher sends it later. The same ``idempotency_key`` returns the first run.

    :raises NotFound: if there is no such workflow, or none that the actor may see.
    :raises Forbidden: if the actor may not start it.
    :raises InvalidInput: with ``fields`` naming what is wrong with each.
    :raises IdempotencyKeyReused: if the key was used with another input.
    """
    try:
        definition = registry.find_latest(workflow)
    except KeyError:
        raise NotFound(f'There is no workflow "{workflow}".') from None
    # The portal itself needs no rights, so what has changed of the row is left to the statement that writes the run.
    row = (known_workflow(definition) if actor.kind == "system" else None) or registered_workflow(definition)
    authorise(actor, Permission.START_RUN, row)
    data = checked_input(definition, input)
    run = _new_run(definition, row, data)
    run.idempotency_key = _checked_key(idempotency_key)
    run.correlation_id = correlation_id or current_correlation_id() or new_correlation_id()
    run.started_by = actor.label[:200]
    if child_of:
        run.pk = child_of.run_id
    is_one_statement = actor.kind == "system" and child_of is None
    with nullcontext() if is_one_statement else transaction.atomic():
        if not _insert(run, definition, {"actor": actor.label} | ({"reason": reason} if reason else {})):
            return StartedRun(_first_run(run), created=False)
        if child_of:
            Run.objects.filter(pk=run.pk).update(parent=child_of.parent_id, parent_step=child_of.step)
        if actor.kind != "system":
            record(
                actor=actor,
                action="workflows.run.start",
                object_type="run",
                object_id=str(run.pk),
                object_label=f"{definition.name} {run.pk}",
                reason=reason,
            )
        if run.status == RunStatus.QUEUED:
            dispatch.enqueue_run(run.pk, run.queue)
    return StartedRun(run, created=True)


def _new_run(definition: registry.Definition, row: Workflow, data: dict[str, Any]) -> Run:
    impact = definition.impact
    return Run(
        workflow=row,
        version=definition.version,
        input=data,
        customer_key=str(data.get(impact.customer) or "")[:120] if impact.customer else "",
        amount=_amount(data.get(impact.amount)) if impact.amount else None,
        currency=str(data.get(impact.currency) or "")[:3] if impact.currency else "",
        current_step=definition.plan.order[0].name,
        queue=definition.queue,
        event_count=1,
        dispatch_count=1,
    )


def _insert(run: Run, definition: registry.Definition, event: dict[str, str]) -> bool:
    """Write the run in one statement; False if its idempotency key is taken."""
    values = {
        "id": run.pk,
        "workflow": run.workflow_id,
        "version": run.version,
        "input": json.dumps(run.input),
        "idempotency_key": run.idempotency_key,
        "correlation_id": run.correlation_id,
        "started_by": run.started_by,
        "customer_key": run.customer_key,
        "amount": run.amount,
        "currency": run.currency,
        "current_step": run.current_step,
        "queue": run.queue,
        "within": definition.objective.within.total_seconds(),
        "event": json.dumps(event),
    }
    try:
        accepted = store.insert_run(values)
    except LookupError:  # what this process knew of the workflow is out of date
        run.workflow = registered_workflow(definition)
        accepted = store.insert_run(values | {"workflow": run.workflow_id})
    if accepted is None:
        return False
    run.status, run.created_at = accepted.status, accepted.created_at
    run.dispatched_at, run.due_at = accepted.dispatched_at, accepted.due_at
    run._state.adding, run._state.db = False, connection.alias
    return True


def checked_input(definition: registry.Definition, data: Mapping[str, Any] | BaseModel) -> dict[str, Any]:
    """Return the input as plain JSON values.

    :raises InvalidInput: with ``fields`` naming what is wrong with each.
    """
    try:
        model = definition.input_type.model_validate(data if isinstance(data, BaseModel) else dict(data))
    except ValidationError as exc:
        fields: dict[str, list[str]] = {}
        for error in exc.errors(include_url=False, include_input=False, include_context=False):
            fields.setdefault(".".join(str(part) for part in error["loc"]) or "input", []).append(error["msg"])
        raise InvalidInput(f"The input of {definition.name} is not valid.", fields=fields) from exc
    dumped: dict[str, Any] = model.model_dump(mode="json")
    if "\\u0000" in json.dumps(dumped):
        raise InvalidInput("The input holds a NUL character, which cannot be stored.")
    return dumped


def _checked_key(key: str | None) -> str | None:
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isprintable()):
        message = f"An idempotency key has 1 to {MAX_KEY} printable characters."
        raise InvalidInput(message, fields={"idempotency_key": [message]})
    return key


def _amount(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value)).quantize(Decimal("0.01"))
    except InvalidOperation:
        return None


def _first_run(again: Run) -> Run:
    """Return the run that was started with the same key."""
    run = Run.objects.select_related("workflow__team").get(
        workflow_id=again.workflow_id, idempotency_key=again.idempotency_key
    )
    if run.input != again.input:
        raise IdempotencyKeyReused(
            "This idempotency key was used before, with another input. Use a new key for a new request.",
            run_id=str(run.pk),
        )
    return run
