"""Runs that wait for an event, and events that wait for a run.

Who gets an event: all runs that wait for its key when it comes; if none does, the first that comes to wait for it.
Both sides take these in the same order, so neither can miss the other and none waits for the other in a ring:

1. the rows of the runs, 2. a lock on consumer and key, 3. the inbox row, 4. the wait.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from workflows import dispatch
from workflows.definition.event import Event, WaitTerms, contract_of
from workflows.definition.step import PausingStep
from workflows.engine.failure import describe_error
from workflows.engine.state import RunStatus, WaitingReason
from workflows.events import store
from workflows.events.consumers import label_of_wait, wait_terms
from workflows.events.endings import bury, mark_handled, payload_of
from workflows.events.reading import PayloadDoesNotFit, read_event
from workflows.models import DeadLetter, EventWait, InboxMessage, Run

# A run in one of these may still come to take what it waits for.
_UNDER_WAY = (RunStatus.SCHEDULED, RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)


def wait_of(run_id: UUID, step: str, generation: int) -> EventWait | None:
    """Return the run's wait at a step, closed if its time is up; None if it has not begun to wait."""
    store.close_if_over(run_id, step, generation)
    return EventWait.objects.filter(run=run_id, step=step, generation=generation).first()


def begin(run_id: UUID, step: PausingStep[Any], generation: int, key: str) -> None:
    """Let the run wait for an event, or take one that came before it did. Goes along with the run's release."""
    terms, consumer = step.terms, label_of_wait(step)
    assert isinstance(terms, WaitTerms)  # noqa: S101 - the kind of the step says so
    store.one_at_a_time(consumer, key)
    store.open_wait(
        run_id=run_id,
        step=step.name,
        generation=generation,
        consumer=consumer,
        event=contract_of(terms.event).name,
        key=key,
        timeout=terms.timeout.total_seconds(),
    )
    wait = EventWait.objects.get(run=run_id, step=step.name, generation=generation)
    if wait.closed_at is None:
        _take_unclaimed(wait, terms.event)
    if wait.message_id is not None:
        Run.objects.filter(pk=run_id).update(wake_at=Now())
        store.wake_dispatcher()


def hold_runs(consumer: str, key: str) -> None:
    """Lock the runs that wait, and keep others from beginning to, until this transaction has ended."""
    waiting = EventWait.objects.filter(consumer=consumer, key=key, closed_at=None).values("run_id")
    list(Run.objects.select_for_update().filter(pk__in=waiting).order_by("pk").values_list("pk"))
    store.one_at_a_time(consumer, key)


def deliver(inbox: InboxMessage) -> bool:
    """Give a locked event to all runs that wait for it, and wake them; False if none does.

    :raises PayloadDoesNotFit: if one of them cannot read it. None of them has it then.
    """
    waits = list(_open_waits(inbox))
    for wait in waits:
        run = wait.run
        _give(inbox, wait, wait_terms(run.workflow.slug, run.version, wait.step).event)
        _wake(wait)
    if waits:
        mark_handled(inbox, waits[0].run_id)
    return bool(waits)


def _open_waits(inbox: InboxMessage) -> QuerySet[EventWait]:
    """Return the waits of runs that stand there; one that failed or was cancelled takes nothing."""
    return (
        EventWait.objects.filter(
            consumer=inbox.consumer,
            key=inbox.key,
            event=inbox.message.name,
            closed_at=None,
            expires_at__gt=Now(),
            run__status__in=_UNDER_WAY,
            run__current_step=F("step"),
        )
        .select_related("run__workflow")
        .order_by("run_id")
    )


def _take_unclaimed(wait: EventWait, event: type[Event]) -> None:
    """Give the wait the oldest event of its key that nobody has taken. One that it cannot read is a dead letter."""
    unclaimed = InboxMessage.objects.filter(
        consumer=wait.consumer,
        key=wait.key,
        kind=InboxMessage.Kind.WAIT,
        status=InboxMessage.Status.PENDING,
        message__name=wait.event,
    )
    found = unclaimed.select_for_update(of=("self",)).select_related("message", "workflow").order_by("message_id")
    while (inbox := found.first()) is not None:
        try:
            _give(inbox, wait, event)
        except PayloadDoesNotFit as error:
            bury(inbox, DeadLetter.Reason.CONTRACT, describe_error(error))
        else:
            mark_handled(inbox, wait.run_id)
            return


def _give(inbox: InboxMessage, wait: EventWait, event: type[Event]) -> None:
    taken = read_event(event, payload_of(inbox), inbox.message.version)
    wait.payload = taken.model_dump(mode="json", by_alias=True)
    wait.message = inbox.message
    EventWait.objects.filter(pk=wait.pk).update(payload=wait.payload, message=wait.message, closed_at=Now())


def _wake(wait: EventWait) -> None:
    """Queue the run if it stands there; one that is on its way to wait, or paused, finds the event by itself."""
    standing = Run.objects.filter(
        pk=wait.run_id, status=RunStatus.WAITING, waiting_reason=WaitingReason.EVENT, current_step=wait.step
    )
    queued = standing.update(
        status=RunStatus.QUEUED, waiting_reason="", waiting_on="", wake_at=None, dispatched_at=Now()
    )
    if queued:
        dispatch.enqueue_run(wait.run_id, wait.run.queue)
