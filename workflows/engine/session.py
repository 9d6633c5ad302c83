"""A claimed run in this worker's hands: what is to be written, and how an author's function is called."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from django.db import connection, transaction
from psycopg.pq import TransactionStatus

from workflows import http
from workflows.definition import registry
from workflows.definition.context import StepContext
from workflows.definition.event import Message
from workflows.definition.sensitive import sensitive_fields
from workflows.definition.step import Function
from workflows.dependencies import guard
from workflows.engine import children, crash_points, failure, store
from workflows.engine.holder import Held, identity
from workflows.engine.interrupt import LeaseTaken, StepTimedOut, time_limit
from workflows.engine.locks import HeldLock
from workflows.engine.plan import AnyStep, Checkpoint, Values
from workflows.engine.state import FINAL_RUN_STATUSES, Request, RunStatus, StepStatus, WaitingReason
from workflows.engine.store import AttemptWrite, Claimed, EventWrite, Release, StepWrite, Writes
from workflows.errors import DependencyUnavailable, RateLimited, TransientError
from workflows.events.store import write_emitted
from workflows.redaction import values_under

# A step that comes to one of these has done what it tells others about.
_TELLING = frozenset({StepStatus.SUCCEEDED, StepStatus.FELL_BACK, StepStatus.COMPENSATED})
FLUSH_SECONDS = 1.0  # PURE steps ride with the next commit, but not for longer than this
# What says that the dependency did not do its part; anything else is an answer, if not the wanted one.
_NOT_ITS_PART = (DependencyUnavailable, TransientError, StepTimedOut, OSError, httpx.HTTPError)


@dataclass(frozen=True, slots=True)
class AtItem:
    """The item of a fan-out for which functions are called. ``key``: its part of the operation key."""

    key: str
    values: Mapping[str, Any]
    secrets: Collection[str]


@dataclass(slots=True)
class Relay:
    """Taking the queue's next run with the statement that lets one go, until ``ends_at`` (monotonic seconds).

    ``taken``: what was taken so; ``has_looked``: False if the run was let go by another statement.
    """

    queue: str
    ends_at: float
    taken: Claimed | None = None
    has_looked: bool = False


class Session:
    """Collects what a run's worker has to say and writes it, fenced, in as few statements as possible."""

    def __init__(
        self, claimed: Claimed, definition: registry.Definition, held: Held, relay: Relay | None = None
    ) -> None:
        self.claimed = claimed
        self.definition = definition
        self.order = definition.plan.order
        self.positions = {step.name: position for position, step in enumerate(self.order)}
        self.checkpoints = {line["step"]: _read_checkpoint(line) for line in claimed.steps}
        self.values: Mapping[str, Any] = Values(definition, claimed.input, self.checkpoints, self._items_of)
        self.request = Request(claimed.request)
        self.is_released = False
        self.current_step = claimed.current_step
        self._held = held
        self._relay = relay
        self._owner = identity()
        self._pending = Writes()
        self._along: list[Callable[[], None]] = []
        self.lock: HeldLock | None = None
        self._item: AtItem | None = None
        self._emitted: list[Message] = []  # by the function that was called last
        self._written_at = time.monotonic()

    # What is to be written --------------------------------------------------------------------------

    def checkpoint_of(self, step: AnyStep) -> Checkpoint:
        """Return the step's checkpoint; a new one for a step that was never reached."""
        return self.checkpoints.setdefault(step.name, Checkpoint())

    def note_step(
        self,
        step: AnyStep,
        status: StepStatus,
        *,
        seconds: float | None = None,
        retry_in: float | None = None,
    ) -> None:
        """Give the step a new status; it is written with the next flush or release."""
        checkpoint = self.checkpoint_of(step)
        checkpoint.status = status
        if self._emitted:
            self.send_emitted(step.name, is_done=status in _TELLING)
        self._pending.steps = [write for write in self._pending.steps if write.step != step.name]
        self._pending.steps.append(
            StepWrite(
                step=step.name,
                position=self.positions[step.name],
                status=status,
                attempts=checkpoint.attempts,
                helper_attempts=checkpoint.helper_attempts,
                generation=checkpoint.generation,
                output=checkpoint.output,
                error=checkpoint.error,
                seconds=seconds,
                retry_in=retry_in,
                undone=status is StepStatus.COMPENSATED,
            )
        )

    def note_event(self, kind: str, step: str = "", **data: Any) -> None:
        """Add a line to the run's history; it is written with the next flush or release."""
        self._pending.events.append(EventWrite(kind, step, data))

    def note_attempt(
        self,
        step: AnyStep,
        number: int,
        error: BaseException,
        *,
        kind: str = "run",
        seconds: float,
        retry_in: float | None = None,
    ) -> dict[str, Any]:
        """Keep a try that did not succeed, and return its error as JSON."""
        described = self.describe(error)
        self._pending.attempts.append(
            AttemptWrite(step.name, number, kind, outcome_of(error), described, seconds, retry_in)
        )
        return described

    def _items_of(self, step: str) -> Iterable[Any]:
        return store.fan_out.outputs(self.claimed.run_id, step)

    def describe(self, error: BaseException) -> dict[str, Any]:
        """Describe an error without what is sensitive: messages are read by more people than values are."""
        return failure.describe_error(error, self._secrets())

    def _secrets(self) -> set[str]:
        secrets = values_under(self.claimed.input, sensitive_fields(self.definition.input_type))
        for step in self.order:
            if step.name in self.checkpoints:
                secrets |= values_under(self.checkpoints[step.name].output, sensitive_fields(step.output_type))
        return secrets.union(self._item.secrets) if self._item else secrets

    def write_along(self, write: Callable[[], None]) -> None:
        """Call ``write`` in the transaction of the next flush or release, once the fencing token has matched.

        For what must be there exactly if the checkpoint is: an event that was emitted, a wait, a lock let go.
        """
        self._along.append(write)

    def send_emitted(self, step: str, *, is_done: bool) -> None:
        """Send what the step told others with its checkpoint; what a try said that did not succeed was not said."""
        run_id, messages, self._emitted = self.claimed.run_id, self._emitted, []
        if is_done and messages:
            self.write_along(lambda: write_emitted(run_id, step, messages))

    @property
    def may_ride_along(self) -> bool:
        """Whether what is pending may wait for the next step's commit."""
        return time.monotonic() - self._written_at < FLUSH_SECONDS

    def flush(self, next_step: str) -> None:
        """Write what is pending in one statement, and learn whether a person asked for something.

        :raises LeaseLost: if another worker has the run.
        """
        crash_points.reach("worker.before_checkpoint")
        writes, self._pending = self._pending, Writes()
        asked_at = time.monotonic()
        with self._with_what_goes_along():
            asked = store.checkpoint(self.claimed.run_id, self.claimed.fence, self._owner, writes, next_step)
        self.request = Request(asked)
        self.current_step = next_step
        self._written_at = time.monotonic()
        self._held.renewed_at = asked_at

    def release(self, how: Release) -> None:
        """Write what is pending and let the run go, in one statement.

        :raises LeaseLost: if another worker has the run.
        """
        crash_points.reach("worker.before_release")
        if self.claimed.is_child and how.status in FINAL_RUN_STATUSES:
            self.write_along(lambda: children.tell_parent(self.claimed.run_id))
        writes, self._pending = self._pending, Writes()
        claimed, relay, taken = self.claimed, self._relay, None
        takes_another = relay is not None and not writes.attempts and time.monotonic() < relay.ends_at
        with self._with_what_goes_along():
            if relay and takes_another:
                taken = store.release_and_take(
                    claimed.run_id, claimed.fence, self._owner, writes, how, queue=relay.queue
                )
            else:
                store.release(claimed.run_id, claimed.fence, self._owner, writes, how)
        self.is_released = True
        if relay and takes_another:
            relay.taken, relay.has_looked = taken, True

    @contextmanager
    def _with_what_goes_along(self) -> Iterator[None]:
        """A transaction, if something goes along: one statement alone needs none."""
        along, self._along = self._along, []
        if not along:
            yield
            return
        with transaction.atomic():
            yield
            for write in along:
                write()

    def obey(self) -> None:
        """Do what a person asked of the run while it was held."""
        status = RunStatus.CANCELLED if self.request is Request.CANCEL else RunStatus.PAUSED
        self.note_event(f"run.{status.value}", self.current_step, asked="while it ran")
        self.release(Release(status, current_step=self.current_step))

    def wait(self, reason: WaitingReason, on: str, *, step: str, wake_in: float | None, **how: Any) -> None:
        """Let the run go until a time (a rollback stays a rollback while it waits)."""
        status = self.claimed.status if self.claimed.status is RunStatus.ROLLING_BACK else RunStatus.WAITING
        shown = reason if status is RunStatus.WAITING else WaitingReason.NONE
        self.release(Release(status, shown, on, wake_in=wake_in, current_step=step, **how))

    @contextmanager
    def in_transaction(self) -> Iterator[None]:
        """A transaction in which what is pending is written; if it fails, all that is pending stays so."""
        pending, request, current, along = self._pending, self.request, self.current_step, self._along
        self._along = list(along)
        self._pending = Writes(list(pending.steps), list(pending.events), list(pending.attempts))
        try:
            with transaction.atomic(durable=True):
                yield
        except BaseException:
            self._pending, self.request, self.current_step, self.is_released = pending, request, current, False
            self._along = along
            if self._relay:
                self._relay.taken, self._relay.has_looked = None, False
            _leave_interrupted_query()
            raise

    def write_now(self, write: Callable[[], bool]) -> bool:
        """Call ``write``, which checks a fencing token of its own, and what goes along, in one transaction."""
        with self._with_what_goes_along():
            return write()

    # Calling an author's functions --------------------------------------------------------------------

    def call(self, step: AnyStep, function: Function, *, attempt: int, key_suffix: str = "") -> Any:
        """Call a function of the step within the step's time limit, behind its dependency's breaker.

        :raises DependencyUnavailable: if the breaker lets no call through.
        :raises AtCapacity: if the dependency's limits let none out now.
        :raises StepTimedOut: if the function took longer than the step's timeout.
        """
        dependency = step.options.calls
        if dependency is None:
            return self.call_unguarded(step, function, attempt=attempt, key_suffix=key_suffix)
        permit = guard.permit(dependency.name, self._owner, seconds=step.options.timeout)
        started = time.perf_counter()
        error: BaseException | None = None
        try:
            return self.call_unguarded(step, function, attempt=attempt, key_suffix=key_suffix)
        except BaseException as exc:
            error = exc
            raise
        finally:
            guard.give_back(permit)
            if not isinstance(error, LeaseTaken):  # cut off from here: it says nothing about the dependency
                guard.report(
                    permit,
                    ok=not isinstance(error, _NOT_ITS_PART) or isinstance(error, RateLimited),
                    seconds=time.perf_counter() - started,
                    error=None if error is None else failure.brief(self.describe(error)),
                )

    @contextmanager
    def at_item(self, item: AtItem) -> Iterator[None]:
        """Let functions be called for one item of a fan-out: with its values, under its operation key."""
        before = self.values
        self._item, self.values = item, item.values
        try:
            yield
        finally:
            self._item, self.values = None, before

    def call_unguarded(self, step: AnyStep, function: Function, *, attempt: int, key_suffix: str = "") -> Any:
        """Call a function of the step within the step's time limit."""
        context = self._context(step, attempt, key_suffix)
        self._emitted = context.emitted
        self._held.deadline = time.monotonic() + step.options.timeout
        try:
            with time_limit(step.options.timeout):
                self._held.refuse_if_expired()
                return function(self.values, context)
        finally:
            self._held.deadline = None

    def _context(self, step: AnyStep, attempt: int, key_suffix: str) -> StepContext:
        claimed = self.claimed
        place = self._item.key if self._item else self.checkpoint_of(step).generation
        context = StepContext(
            run_id=claimed.run_id,
            workflow=claimed.workflow,
            step=step.name,
            attempt=attempt,
            operation_key=f"{claimed.run_id}:{step.name}:{place}{key_suffix}",
            correlation_id=claimed.correlation_id,
            started_by=claimed.started_by,
            lock_token=self.lock.token if self.lock else None,
            log=logging.getLogger(f"workflows.step.{claimed.workflow}.{step.name}"),
            emits=step.options.emits,
        )
        if step.options.calls:
            context.open_client = _client_opener(step, context)
        return context


def _client_opener(step: AnyStep, context: StepContext) -> Callable[[], httpx.Client]:
    dependency = step.options.calls
    assert dependency is not None  # noqa: S101 - the caller has looked
    return lambda: http.StepClient(
        dependency,
        timeout=step.options.timeout,
        operation_key=context.operation_key,
        correlation_id=context.correlation_id,
        idempotent=step.options.idempotent,
    )


def _read_checkpoint(line: dict[str, Any]) -> Checkpoint:
    return Checkpoint(
        status=StepStatus(line["status"]),
        attempts=line["attempts"],
        helper_attempts=line["helper_attempts"],
        generation=line["generation"],
        output=line["output"],
        error=line["error"],
        waited=line["waited"] or 0.0,
    )


def outcome_of(error: BaseException) -> str:
    if isinstance(error, StepTimedOut) or isinstance(error.__cause__, httpx.TimeoutException):
        return "timed_out"
    return "unavailable" if isinstance(error, DependencyUnavailable) else "failed"


def _leave_interrupted_query() -> None:
    """Drop a connection that was interrupted in the middle of a query: it cannot be used any more."""
    raw = connection.connection
    if raw is not None and raw.info.transaction_status not in {TransactionStatus.IDLE, TransactionStatus.INTRANS}:
        connection.close()
