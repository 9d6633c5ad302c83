"""Starting a bulk operation, and a person's hand on one that is under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from uuid import UUID

from django.db import IntegrityError, transaction

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import Conflict, Forbidden, InvalidInput, InvalidTransition
from portal.core.ids import uuid7
from portal.core.models import ApiToken
from portal.core.permissions import Permission
from portal.core.services.reasons import checked_reason
from workflows.bulk.access import access_operation
from workflows.bulk.conf import RATES
from workflows.bulk.limits import limit_of
from workflows.bulk.preview import DryRun, Selection, dry_run
from workflows.bulk.registry import command_of
from workflows.models import BulkItem, BulkOperation

_S = BulkOperation.Status
BATCH = 2_000

TRANSITIONS: dict[_S, frozenset[_S]] = {
    _S.ASKED: frozenset({_S.RUNNING, _S.STOPPED}),
    _S.RUNNING: frozenset({_S.PAUSED, _S.HALTED, _S.STOPPED, _S.DONE}),
    _S.PAUSED: frozenset({_S.RUNNING, _S.STOPPED}),
    _S.HALTED: frozenset({_S.RUNNING, _S.STOPPED}),
    _S.STOPPED: frozenset(),
    _S.DONE: frozenset(),
}


class SelectionChanged(Conflict):
    """What the filter selects has changed since you looked at it."""

    code = "selection-changed"


@dataclass(frozen=True, slots=True)
class Expected:
    """The dry run that somebody decided on."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class StartedOperation:
    """An operation, and whether this call made it (False: it was asked for twice)."""

    operation: BulkOperation
    created: bool


def start_operation(
    *,
    actor: Actor,
    selection: Selection,
    expected: Expected,
    reason: str,
    per_minute: int | None = None,
    operation_id: UUID | None = None,
) -> StartedOperation:
    """Start an operation on exactly what its dry run showed, or ask for approval where it is too large for one.

    :param operation_id: names the request: the same one twice starts one operation.
    :raises SelectionChanged: if the command would now touch other things than ``expected``.
    :raises InvalidInput: for a short reason, an invalid filter, or a rate that is not offered.
    :raises Conflict: if the command applies to nothing.
    """
    reason = checked_reason(reason)
    first = BulkOperation.objects.filter(pk=operation_id, user=actor.user).first() if operation_id else None
    if first is not None:
        return StartedOperation(first, created=False)
    found = dry_run(actor, selection)
    if (found.count, found.digest) != (expected.count, expected.digest):
        raise SelectionChanged(_what_changed(found, expected), count=found.count, digest=found.digest)
    if not found.affected:
        raise Conflict(f"There is nothing that {found.command.label.lower()} would apply to.")
    operation = _new(actor, found, reason, _rate(found, per_minute), operation_id or uuid7())
    with transaction.atomic():
        if not _insert(operation):
            return StartedOperation(BulkOperation.objects.get(pk=operation.pk, user=actor.user), created=False)
        _add_items(operation, found)
        _audit(actor, operation, "ask" if operation.status == _S.ASKED else "start", reason)
    return StartedOperation(operation, created=True)


def approve_operation(*, actor: Actor, operation_id: UUID, reason: str) -> BulkOperation:
    """Let an operation start that somebody else asked for.

    :raises Forbidden: for one's own, or one that is larger than what the actor may approve.
    """
    with _locked(actor, operation_id, Permission.APPROVE_BULK_OPERATION, "approve", reason) as operation:
        if actor.user is not None and actor.user.pk == operation.user_id:
            raise Forbidden("A second person has to approve this: you asked for it yourself.")
        most = limit_of(actor).approve
        if operation.total > most:
            raise Forbidden(f"You may approve {most:,} at a time; this is {operation.total:,}. Ask an administrator.")
        _move(operation, _S.RUNNING, only_from={_S.ASKED})
    return operation


def reject_operation(*, actor: Actor, operation_id: UUID, reason: str) -> BulkOperation:
    """Refuse an operation that waits for approval; nothing was touched."""
    with _locked(actor, operation_id, Permission.APPROVE_BULK_OPERATION, "reject", reason) as operation:
        _move(operation, _S.STOPPED, only_from={_S.ASKED})
    return operation


def pause_operation(*, actor: Actor, operation_id: UUID, reason: str) -> BulkOperation:
    """Touch nothing more until somebody continues."""
    with _locked(actor, operation_id, Permission.START_BULK_OPERATION, "pause", reason) as operation:
        _move(operation, _S.PAUSED)
    return operation


def continue_operation(*, actor: Actor, operation_id: UUID, reason: str) -> BulkOperation:
    """Go on after a pause or a halt. After a halt the actor vouches for the stage that is under way."""
    with _locked(actor, operation_id, Permission.START_BULK_OPERATION, "continue", reason) as operation:
        authorise(actor, command_of(operation.kind, operation.command).permission)
        if operation.status == _S.HALTED:
            operation.trusted_stage = operation.stage
            operation.halted_because = ""
        _move(operation, _S.RUNNING, only_from={_S.PAUSED, _S.HALTED})
    return operation


def stop_operation(*, actor: Actor, operation_id: UUID, reason: str) -> BulkOperation:
    """End it for good; what is done stays done."""
    with _locked(actor, operation_id, Permission.START_BULK_OPERATION, "stop", reason) as operation:
        _move(operation, _S.STOPPED)
    return operation


def note(operation: BulkOperation, who: str, what: str, reason: str = "") -> None:
    """Add a line to the operation's history."""
    operation.history = [
        *operation.history,
        {"at": now().isoformat(), "who": who, "what": what, "reason": reason},
    ]


def change_status(operation: BulkOperation, status: _S) -> None:
    """Move the operation, if its transition table allows it.

    :raises InvalidTransition: if not.
    """
    old = _S(operation.status)
    if status not in TRANSITIONS[old]:
        raise InvalidTransition(f"This operation is {old.label.lower()}; it cannot become {status.label.lower()}.")
    operation.status = status
    operation.ended_at = now() if operation.is_over else None


_TOLD = {
    "approve": "Approved",
    "reject": "Rejected",
    "pause": "Paused",
    "continue": "Continued",
    "stop": "Stopped",
}


@contextmanager
def _locked(
    actor: Actor, operation_id: UUID, permission: Permission, verb: str, reason: str
) -> Iterator[BulkOperation]:
    """Open the operation for a change, which is saved and audited in one transaction."""
    access_operation(actor, operation_id, permission=permission)
    reason = checked_reason(reason)
    with transaction.atomic():
        operation = BulkOperation.objects.select_for_update().get(pk=operation_id)
        yield operation
        operation.next_at = now()
        note(operation, actor.label, _TOLD[verb], reason)
        operation.save()
        _audit(actor, operation, verb, reason)


def _move(operation: BulkOperation, status: _S, only_from: set[_S] | None = None) -> None:
    if only_from is not None and operation.status not in only_from:
        raise InvalidTransition(f"This operation is {_S(operation.status).label.lower()}.")
    change_status(operation, status)


def _new(actor: Actor, found: DryRun, reason: str, per_minute: int, operation_id: UUID) -> BulkOperation:
    if actor.user is None:
        raise Forbidden("A bulk operation is started by a person, with that person's rights.")
    at = now()
    operation = BulkOperation(
        id=operation_id,
        kind=found.kind.name,
        command=found.command.name,
        filter=found.selection.filter,
        chosen=[str(id) for id in found.selection.chosen],
        reason=reason,
        status=_S.ASKED if found.needs_approval else _S.RUNNING,
        per_minute=per_minute,
        ladder=found.stages,
        total=found.count,
        preview=found.facts(),
        user=actor.user,
        token=ApiToken.objects.get(pk=actor.id) if actor.kind == "token" else None,
        started_by=actor.label[:200],
        created_at=at,
        next_at=at,
    )
    note(operation, actor.label, "Asked for approval" if found.needs_approval else "Started", reason)
    return operation


def _insert(operation: BulkOperation) -> bool:
    """Write the operation; False if the same request has just written it (which is waited for)."""
    try:
        with transaction.atomic():
            operation.save(force_insert=True)
    except IntegrityError:
        return False
    return True


def _add_items(operation: BulkOperation, found: DryRun) -> None:
    stages = (stage for stage, size in enumerate(found.stages) for _ in range(size))
    BulkItem.objects.bulk_create(
        (
            BulkItem(operation=operation, position=position, stage=stage, object_id=id, label=label[:200])
            for position, stage, (id, label) in zip(count(), stages, found.affected, strict=False)
        ),
        batch_size=BATCH,
    )


def _rate(found: DryRun, per_minute: int | None) -> int:
    rate = per_minute or found.command.per_minute
    if rate not in RATES:
        message = f"Choose {', '.join(map(str, RATES[:-1]))} or {RATES[-1]} a minute."
        raise InvalidInput(message, fields={"per_minute": [message]})
    return rate


def _what_changed(found: DryRun, expected: Expected) -> str:
    label = found.command.label
    if found.count != expected.count:
        return (
            f"{label} would touch {found.kind.counted(expected.count)} when you looked, and "
            f"{found.count:,} now. Nothing was done."
        )
    return f"{label} would still touch {found.kind.counted(found.count)}, but not the same ones. Nothing was done."


def _audit(actor: Actor, operation: BulkOperation, verb: str, reason: str) -> None:
    record(
        actor=actor,
        action=f"workflows.bulk.{verb}",
        object_type="bulk_operation",
        object_id=str(operation.pk),
        object_label=str(operation),
        reason=reason,
        after={
            "status": operation.status,
            "command": f"{operation.kind} {operation.command}",
            "count": operation.total,
            "filter": operation.filter,
            "stage": operation.stage,
        },
    )
