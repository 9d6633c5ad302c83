"""Carrying operations out: one item at a time, each in one transaction with the mark that it is done.

1. Lock the operation; who finds it locked leaves it to the one that has it.
2. Judge what was done and is not settled. A surprise halts the operation.
3. Do the next item of the stage, if the rate allows one now.
4. If the stage has none left and all are settled: begin the next stage, if this one proved itself.

A process that dies in between leaves the operation as before step 1: nothing is done twice, nothing is left out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import QuerySet

from portal.core import clock
from portal.core.actor import Actor, bearer, person
from portal.core.correlation import correlated
from portal.core.errors import PortalError
from workflows.bulk.kinds import BulkCommand, NotNeeded, Outcome, Verdict
from workflows.bulk.registry import command_of
from workflows.bulk.services import change_status, note
from workflows.engine import crash_points
from workflows.models import BulkItem, BulkOperation

log = structlog.get_logger(__name__)
PORTAL = "Evenkeel"
LOOK_EVERY = timedelta(seconds=1)
_S, _I, _V = BulkOperation.Status, BulkItem.Status, BulkItem.Verdict
_GONE = Verdict(Outcome.BAD, "It is not there any more")


def advance(operation_id: UUID) -> bool:
    """Take a running operation one item further, if it is time; returns whether an item was taken.

    Returns False at once for an operation that is not running, or that another process has in hand.
    """
    with transaction.atomic():
        operation = (
            BulkOperation.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("user", "token__owner")
            .filter(pk=operation_id, status=_S.RUNNING)
            .first()
        )
        if operation is None:
            return False
        took = _step(operation, command_of(operation.kind, operation.command))
        operation.save()
    crash_points.reach("bulk.after_commit")
    return took


def halt(operation: BulkOperation, because: str) -> None:
    """Touch nothing more until a person has looked."""
    change_status(operation, _S.HALTED)
    operation.halted_because = because
    note(operation, PORTAL, "Halted", because)


def _step(operation: BulkOperation, command: BulkCommand) -> bool:
    now = clock.now()
    following = _items(operation).filter(status=_I.PENDING).first()
    if _is_time_to_look(operation, following, now):
        operation.looked_at = now
        _judge(operation, command, now)
        if operation.status != _S.RUNNING:
            return False
    if following is None:
        _end_stage(operation)
        return False
    if operation.next_at > now:
        return False
    _take(operation, command, following, now)
    return True


def _items(operation: BulkOperation) -> QuerySet[BulkItem]:
    return BulkItem.objects.filter(operation=operation, stage=operation.stage).order_by("position")


def _is_time_to_look(operation: BulkOperation, following: BulkItem | None, now: datetime) -> bool:
    return following is None or operation.looked_at is None or operation.looked_at + LOOK_EVERY <= now


# Judging --------------------------------------------------------------------------------------------------


def _judge(operation: BulkOperation, command: BulkCommand, now: datetime) -> None:
    watched = list(BulkItem.objects.filter(operation=operation, status=_I.DONE, verdict=_V.OPEN))
    verdicts = command.settled([item.object_id for item in watched]) if watched else {}
    settled = [item for item in watched if _settle(item, verdicts.get(item.object_id, _GONE), now - command.watch)]
    BulkItem.objects.bulk_update(settled, ["verdict", "words"])
    bad = [item for item in settled if item.verdict == _V.BAD]
    if bad:
        others = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        halt(operation, f"{bad[0].label}: {bad[0].words.rstrip('.')}{others}.")


def _settle(item: BulkItem, verdict: Verdict, watched_since: datetime) -> bool:
    """Write the verdict into the item; False if it is still open and there is time left."""
    if verdict.outcome is not Outcome.OPEN:
        item.verdict = _V(verdict.outcome)
    elif item.done_at is not None and item.done_at <= watched_since:
        item.verdict = _V.INCONCLUSIVE
    else:
        return False
    item.words = verdict.words
    return True


# Doing ----------------------------------------------------------------------------------------------------


def _take(operation: BulkOperation, command: BulkCommand, item: BulkItem, now: datetime) -> None:
    operation.next_at = now + timedelta(minutes=1) / operation.per_minute
    item.done_at = now
    with correlated(operation.pk.hex):
        problem = _apply(operation, command, item)
    crash_points.reach("bulk.before_commit")
    item.save()
    if problem:
        halt(operation, f"{item.label} could not be {command.done}: {problem}")


def _apply(operation: BulkOperation, command: BulkCommand, item: BulkItem) -> str:
    """Do one item and write into it what came of it; returns why it was refused, "" if it was not."""
    reason = f"{operation.reason} (bulk operation {str(operation.pk)[-8:]})"
    try:
        with transaction.atomic():
            command.apply(_on_behalf(operation), item.object_id, reason)
    except NotNeeded as exc:
        item.status, item.words = _I.NOT_NEEDED, str(exc)
        return ""
    except PortalError as exc:
        problem = exc.message
    except DatabaseError:
        raise
    except Exception as exc:  # a mistake in one thing's code must not keep all the others from being seen
        log.exception("bulk_item_failed", operation=str(operation.pk), item=str(item.object_id))
        problem = f"{type(exc).__name__}: {exc}"
    else:
        item.status = _I.DONE
        return ""
    item.status, item.verdict, item.words = _I.REFUSED, _V.BAD, problem
    return problem


def _on_behalf(operation: BulkOperation) -> Actor:
    """Return the one who started it, with the rights that they have now."""
    origin = f"bulk {str(operation.pk)[-8:]}"
    token = operation.token
    if token is None:
        return person(operation.user, origin=origin)
    if token.revoked_at or (token.expires_at and token.expires_at <= clock.now()):
        raise PortalError("The API token that started this is revoked or expired.")
    return bearer(token, origin=origin)


# Stages ---------------------------------------------------------------------------------------------------


def _end_stage(operation: BulkOperation) -> None:
    """Begin the next stage once this one is settled and proved itself, or a person vouched for it."""
    if _items(operation).filter(status=_I.DONE, verdict=_V.OPEN).exists():
        return
    if operation.stage == len(operation.ladder) - 1:
        change_status(operation, _S.DONE)
        note(operation, PORTAL, "Done")
    elif operation.trusted_stage < operation.stage and (problem := _doubt(_items(operation))):
        halt(operation, problem)
    else:
        operation.stage += 1


def _doubt(items: QuerySet[BulkItem]) -> str:
    """Return why a canary stage does not speak for going on, "" if it does."""
    verdicts = list(items.values_list("verdict", flat=True))
    if unsettled := verdicts.count(_V.INCONCLUSIVE):
        return f"{unsettled} of the first {len(verdicts)} did not settle in the time that they are watched."
    if _V.GOOD not in verdicts:
        return f"None of the first {len(verdicts)} needed it, so nothing is known of what it does to the others."
    return ""
