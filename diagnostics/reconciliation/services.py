"""Running checks: each due time once in the whole fleet, and never green for what could not be seen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import structlog
from celery import signature
from django.db import transaction
from django.db.models import Q

from diagnostics.models import Discrepancy, Reconciliation
from diagnostics.reconciliation import definition
from diagnostics.reconciliation.definition import CannotSee, Check, Mismatch
from diagnostics.reconciliation.queries import scope_of
from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import Conflict, NotFound
from portal.core.permissions import Permission
from workflows.dispatch import UNREACHABLE
from workflows.engine.interrupt import FAILURES, time_limit
from workflows.money import summed

log = structlog.get_logger(__name__)
TASK = "diagnostics.reconcile"
QUEUE = "workflows"
PATIENCE = timedelta(minutes=1)  # what nobody took up for so long is sent again
SLACK = timedelta(minutes=2)  # a comparison that takes so much longer than it may was lost with its worker
KEEP = timedelta(days=90)
_S = Reconciliation.Status
_OPEN = (_S.DUE, _S.RUNNING)


def start_due_reconciliations() -> int:
    """Have every check carried out whose time has come; returns how many workers were told of.

    Any number of processes may do this: a due time has one row, and a row is carried out once.
    """
    moment = now()
    for check in definition.declared():
        due_at = check.rhythm.latest(moment)
        Reconciliation.objects.bulk_create([Reconciliation(name=check.name, due_at=due_at)], ignore_conflicts=True)
        lost = Reconciliation.objects.filter(
            name=check.name, status=_S.RUNNING, started_at__lt=moment - check.within - SLACK
        )
        lost.update(status=_S.CANNOT_SEE, ended_at=moment, problem="The worker that compared them was lost.")
    Reconciliation.objects.filter(ended_at__lt=moment - KEEP).delete()
    waiting = Reconciliation.objects.filter(Q(sent_at=None) | Q(sent_at__lt=moment - PATIENCE), status=_S.DUE)
    return sum(_send(row.pk) for row in waiting)


def request_reconciliation(*, actor: Actor, name: str) -> Reconciliation:
    """Have a check carried out now.

    :raises NotFound: if there is no such check, or none that the actor may see.
    :raises Forbidden: if the actor may see it but not start the team's work.
    :raises Conflict: if it is being carried out already.
    """
    check = definition.find(name)
    if check is None:
        raise NotFound
    authorise(actor, Permission.START_RUN, scope_of(check))
    with transaction.atomic():
        _lock(name)
        if Reconciliation.objects.filter(name=name, status__in=_OPEN).exists():
            raise Conflict("It is being compared already; the result is here in a moment.")
        row = Reconciliation.objects.create(name=name, due_at=now(), asked_by=actor.label[:200])
        record(
            actor=actor,
            action="diagnostics.reconciliation.request",
            object_type="reconciliation",
            object_id=name,
            object_label=check.title,
        )

        def send() -> None:
            _send(row.pk)

        transaction.on_commit(send, robust=True)
    return row


def carry_out(reconciliation_id: UUID) -> None:
    """Compare, and keep what was found. Does nothing if somebody else has taken it up."""
    taken = Reconciliation.objects.filter(pk=reconciliation_id, status=_S.DUE)
    if not taken.update(status=_S.RUNNING, started_at=now()):
        return
    row = Reconciliation.objects.get(pk=reconciliation_id)
    check = definition.find(row.name)
    try:
        found = _compare(check)
    except CannotSee as exc:
        _cannot_see(row, str(exc))
    except FAILURES as exc:
        log.warning("reconciliation.failed", check=row.name, exc_info=True)
        _cannot_see(row, f"The check itself failed: {type(exc).__name__}: {exc}")
    else:
        _keep(row, found)


def _compare(check: Check | None) -> dict[str, Mismatch]:
    if check is None:
        raise CannotSee("This worker's code does not have the check.")
    with time_limit(check.within.total_seconds()), transaction.atomic():
        mismatches = list(check.compare())
    found = {mismatch.key: mismatch for mismatch in mismatches}
    if len(found) < len(mismatches):
        raise CannotSee("The check named one record twice, so it does not tell its records apart.")
    return found


def _cannot_see(row: Reconciliation, problem: str) -> None:
    """Say so. What was open stays open: nobody has seen that it is gone."""
    still = Reconciliation.objects.filter(pk=row.pk, status=_S.RUNNING)
    still.update(status=_S.CANNOT_SEE, ended_at=now(), problem=problem[:2000])


@transaction.atomic
def _keep(row: Reconciliation, found: dict[str, Mismatch]) -> None:
    """Write the result, and bring the list of open mismatches up to it."""
    _lock(row.name)
    row.refresh_from_db()
    if row.status != _S.RUNNING:
        return  # it was given up meanwhile, and others may have looked since
    moment = now()
    known = {each.key: each for each in Discrepancy.objects.select_for_update().filter(name=row.name, gone_at=None)}
    gone = [each for key, each in known.items() if key not in found]
    for each in gone:
        each.gone_at = moment
    Discrepancy.objects.bulk_update(gone, ["gone_at"])
    seen = [_told(known.get(key) or _new(row.name, key, moment), mismatch) for key, mismatch in found.items()]
    for each in seen:
        each.last_seen_at = moment
    fields = ["left", "right", "amount", "currency", "note", "last_seen_at"]
    Discrepancy.objects.bulk_update([each for each in seen if each.pk], fields)
    new = [each for each in seen if not each.pk]
    Discrepancy.objects.bulk_create(new)
    row.status = _S.DIFFERS if found else _S.AGREES
    row.ended_at = moment
    row.mismatches, row.new_mismatches, row.gone_mismatches = len(found), len(new), len(gone)
    row.at_stake = _at_stake(found.values())
    row.save()


def _new(name: str, key: str, moment: datetime) -> Discrepancy:
    return Discrepancy(name=name, key=key, first_seen_at=moment)


def _told(row: Discrepancy, mismatch: Mismatch) -> Discrepancy:
    row.left, row.right = _words(mismatch.left), _words(mismatch.right)
    row.amount, row.currency, row.note = mismatch.amount, mismatch.currency, mismatch.note[:500]
    return row


def _words(value: str | Decimal | None) -> str | None:
    if isinstance(value, Decimal):
        return f"{value:,.2f}"
    return None if value is None else value[:500]


def _at_stake(found: Iterable[Mismatch]) -> dict[str, str]:
    sums = summed((each.amount, each.currency) for each in found)
    return {money.currency: f"{money.amount:.2f}" for money in sums}


def _lock(name: str) -> None:
    """Let one at a time write about a check: whoever comes second waits until this transaction ends."""
    first = Reconciliation.objects.select_for_update().filter(name=name).order_by("id").values_list("pk", flat=True)
    list(first[:1])


def _send(reconciliation_id: UUID) -> bool:
    """Tell a worker; False if the broker is away, and the next round does it."""
    Reconciliation.objects.filter(pk=reconciliation_id).update(sent_at=now())
    try:
        signature(TASK).apply_async(args=(str(reconciliation_id),), queue=QUEUE, retry=False)
    except UNREACHABLE as exc:
        log.warning("reconciliation.not_sent", error=str(exc))
        return False
    return True
