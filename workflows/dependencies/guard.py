"""What stands before each call to a dependency: ``permit`` before it, ``report`` after it.

While all is well a call costs no statement: each process keeps the states of the breakers for a second, and adds up
its good calls and writes them once a second. A bad call is written and judged at once, with those of all workers.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog
from django.db import Error as DatabaseError
from django.db.backends.utils import CursorWrapper

from portal.core.events import BreakerClosed, BreakerOpened, publish
from workflows.dependencies import limits, store
from workflows.dependencies.breaker import (
    SLOT_SECONDS,
    Breaker,
    State,
    Verdict,
    open_seconds,
    reason_to_open,
    retry_at,
    verdict,
)
from workflows.errors import AtCapacity, DependencyUnavailable

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 1.0
FLUSH_SECONDS = 1.0
PRUNE_SECONDS = 600.0
KEEP_CALLS_DAYS = 8
# Runs that waited for a breaker go on at this pace once it closes, so that they do not bring the service down again.
WAKE_PER_SECOND = 20.0
ENGINE = "engine"
_LOOK_AGAIN_SECONDS = (5.0, 15.0)


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to make one call.

    ``probe`` is set when the answer decides whether the breaker closes, ``slot`` when only so many may be out at a
    time.
    """

    name: str
    probe: UUID | None = None
    slot: UUID | None = None


@dataclass(slots=True)
class _Count:
    calls: int = 0
    failures: int = 0
    slow: int = 0
    total_ms: int = 0


class Guard:
    """One process's view of the breakers: their states as of a moment ago, and calls that are not written yet."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a new process must after a fork."""
        self._lock = threading.Lock()
        self._breakers: dict[str, Breaker] = {}
        self._refreshed_at = float("-inf")
        self._counts: dict[tuple[str, int], _Count] = {}
        self._flushed_at = time.monotonic()
        self._pruned_at = time.monotonic()

    def permit(self, name: str, holder: str, *, seconds: float = 0.0) -> Permit:
        """Return the right to call ``name`` once. A name that is not registered is not guarded.

        :param holder: who calls (worker and run), shown for probes.
        :param seconds: how long the call may last, if longer than the dependency's own timeout.
        :raises DependencyUnavailable: if the breaker lets no call through; ``retry_at`` says when to look again.
        :raises AtCapacity: if the dependency's limits let none out now.
        """
        breaker = self._breaker(name)
        if breaker is None:
            return Permit(name)
        permit = self._past_breaker(breaker, holder)
        if not breaker.policy.is_limited:
            return permit
        try:
            return replace(permit, slot=self._within_limits(breaker, holder, seconds))
        except AtCapacity:
            self._return_probe(permit)
            raise

    def give_back(self, permit: Permit) -> None:
        """Let another call out in this one's place. Never raises: a lease that is not given back runs out."""
        if permit.slot is None:
            return
        try:
            with store.own_transaction() as cursor:
                limits.give_slot_back(cursor, permit.name, permit.slot)
        except DatabaseError:
            log.warning("slot.not_given_back", dependency=permit.name, exc_info=True)

    def _within_limits(self, breaker: Breaker, holder: str, seconds: float) -> UUID | None:
        """Count the call against the limits that the dependency has; return its place among those out at once.

        :raises AtCapacity: if they let none out now; nothing was counted then.
        """
        policy, slot = breaker.policy, None
        with store.own_transaction() as cursor:
            if policy.max_concurrency is not None:
                slot = limits.take_slot(cursor, breaker, holder, seconds=max(seconds, policy.timeout_seconds))
                if slot is None:
                    # Whoever ends a call wakes the next; this is for the case that it dies instead.
                    pause = random.uniform(*_LOOK_AGAIN_SECONDS)  # noqa: S311 - spreads load, keeps no secret
                    why = f"{breaker.name} has {policy.max_concurrency} calls out, as many as it may"
                    raise AtCapacity(why, dependency=breaker.name, seconds=pause)
            if policy.rate_calls is not None:
                limits.take_turn(cursor, breaker)
        return slot

    def _return_probe(self, permit: Permit) -> None:
        if permit.probe:
            with store.own_transaction() as cursor:
                store.return_probe(cursor, permit.probe)

    def _past_breaker(self, breaker: Breaker, holder: str) -> Permit:
        """Return the breaker's permit.

        :raises DependencyUnavailable: if it gives none.
        """
        name = breaker.name
        if verdict(breaker, breaker.read_at) is Verdict.CALL:
            return Permit(name)
        # Whoever may not call asks the database: what this process knows may be a second old.
        probe, refused_until, breaker = self._ask(name, holder)
        if refused_until is None:
            return Permit(name, probe)
        raise DependencyUnavailable(
            f"{name} is not called for now: {breaker.reason}", dependency=name, retry_at=refused_until
        )

    def report(
        self,
        permit: Permit,
        *,
        ok: bool,
        seconds: float,
        slow: bool = False,
        error: Mapping[str, object] | None = None,
    ) -> None:
        """Tell how the permitted call ended. Never raises: the step's own outcome is what matters.

        :param ok: whether the service did its part; an answer such as "this card has expired" is a good answer.
        :param error: the error as JSON, shown on the dependency's page.
        """
        breaker = self._breakers.get(permit.name)
        slow = slow or (breaker is not None and seconds >= breaker.policy.slow_after_seconds)
        self._count(permit.name, ok=ok, slow=slow, seconds=seconds)
        try:
            if permit.probe:
                self._settle_probe(permit, good=ok and not slow, error=error)
            elif not ok or slow:
                self._judge(permit.name, error)
            elif time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
                self.flush()
        except DatabaseError:
            log.warning("breaker.report_not_written", dependency=permit.name, ok=ok, exc_info=True)

    def flush(self) -> None:
        """Write the calls that were only counted. Also called by the worker's heartbeat, so that none stay behind."""
        if not self._counts:
            return
        with store.own_transaction() as cursor:
            self._write_counts(cursor)

    def _breaker(self, name: str) -> Breaker | None:
        with self._lock:
            if time.monotonic() - self._refreshed_at >= REFRESH_SECONDS:
                with store.own_transaction() as cursor:
                    self._breakers = store.read_breakers(cursor)
                self._refreshed_at = time.monotonic()
            return self._breakers.get(name)

    def _count(self, name: str, *, ok: bool, slow: bool, seconds: float) -> None:
        key = (name, int(time.monotonic() // SLOT_SECONDS))
        with self._lock:
            count = self._counts.setdefault(key, _Count())
            count.calls += 1
            count.failures += not ok
            count.slow += slow
            count.total_ms += round(seconds * 1000)

    def _write_counts(self, cursor: CursorWrapper) -> None:
        with self._lock:
            counts, self._counts = self._counts, {}
            self._flushed_at = moment = time.monotonic()
            prune = moment - self._pruned_at >= PRUNE_SECONDS
            if prune:
                self._pruned_at = moment
        if counts:
            store.record_calls(
                cursor,
                [
                    store.Tally(
                        name, max(0.0, moment - (slot + 1) * SLOT_SECONDS), c.calls, c.failures, c.slow, c.total_ms
                    )
                    for (name, slot), c in counts.items()
                ],
            )
        if prune:
            store.delete_old_calls(cursor, days=KEEP_CALLS_DAYS)

    def _judge(self, name: str, error: Mapping[str, object] | None) -> None:
        """Write a bad call, and open the breaker if the latest calls of all workers say so."""
        with store.own_transaction() as cursor:
            self._write_counts(cursor)
            breaker = store.lock_breaker(cursor, name)
            if breaker is None:
                return
            reason = ""
            if breaker.state is State.CLOSED:
                reason = reason_to_open(store.read_window(cursor, breaker), breaker.policy)
            if error:
                store.remember_error(cursor, breaker, error)
            event = _open(cursor, breaker, reason) if reason else None
        self._announce(event)

    def _settle_probe(self, permit: Permit, *, good: bool, error: Mapping[str, object] | None) -> None:
        """Count a probe's answer: enough good ones close the breaker, a bad one opens it again, for longer."""
        event: BreakerOpened | BreakerClosed | None = None
        with store.own_transaction() as cursor:
            self._write_counts(cursor)
            breaker = store.lock_breaker(cursor, permit.name)
            if breaker is None:
                return
            if error and not good:
                store.remember_error(cursor, breaker, error)
            if breaker.state is State.HALF_OPEN and permit.probe and store.has_probe(cursor, permit.probe):
                if not good:
                    event = _open(cursor, breaker, f"A probe was not answered well. Before that: {_first(breaker)}")
                else:
                    store.mark_probe_good(cursor, permit.probe)
                    if store.read_probes(cursor, breaker).good >= breaker.policy.probes:
                        event = _close(cursor, breaker, f"{breaker.policy.probes} probes in a row were answered well")
        self._announce(event)

    def _ask(self, name: str, holder: str) -> tuple[UUID | None, datetime | None, Breaker]:
        """Ask the database for a permit; return (probe, refused until, breaker); the first two may be None."""
        with store.own_transaction() as cursor:
            breaker = _brought_up_to_date(cursor, name)
            decision = verdict(breaker, breaker.read_at)
            if decision is Verdict.CALL:
                outcome: tuple[UUID | None, datetime | None] = (None, None)
            elif decision is Verdict.WAIT:
                outcome = (None, retry_at(breaker))
            else:
                probes = store.read_probes(cursor, breaker)
                if probes.good + probes.out < breaker.policy.probes:
                    outcome = (store.lease_probe(cursor, breaker, holder), None)
                else:
                    outcome = (None, retry_at(breaker, lease_ends_at=probes.lease_ends_at))
        return *outcome, breaker

    def _announce(self, event: BreakerOpened | BreakerClosed | None) -> None:
        if event:
            self._refreshed_at = float("-inf")
            state = State.OPEN if isinstance(event, BreakerOpened) else State.CLOSED
            log.warning("breaker.moved", dependency=event.dependency, state=state, reason=event.reason)
            publish(event)


def _brought_up_to_date(cursor: CursorWrapper, name: str) -> Breaker:
    """Return the breaker, its row locked, after the change of state that is due by now."""
    breaker = _locked(cursor, name)
    decision = verdict(breaker, breaker.read_at)
    if decision is Verdict.END_FORCE:
        new = State.CLOSED if breaker.state is State.FORCED_CLOSED else State.HALF_OPEN
        store.change_state(
            cursor, breaker, new, reason="The time of the forced state is over", actor_label=ENGINE, opened_times=0
        )
    elif decision is Verdict.PROBE and breaker.state is State.OPEN:
        store.change_state(
            cursor,
            breaker,
            State.HALF_OPEN,
            reason=f"Being probed. Before that: {_first(breaker)}",
            actor_label=ENGINE,
        )
    else:
        return breaker
    return _locked(cursor, name)


def _locked(cursor: CursorWrapper, name: str) -> Breaker:
    breaker = store.lock_breaker(cursor, name)
    if breaker is None:
        raise DependencyUnavailable(f"{name} is no longer registered", dependency=name)
    return breaker


def _first(breaker: Breaker) -> str:
    """Return why the breaker opened in the first place, without what was said since."""
    return breaker.reason.rpartition("Before that: ")[2]


def _open(cursor: CursorWrapper, breaker: Breaker, reason: str) -> BreakerOpened | None:
    times = breaker.opened_times + 1
    moved = store.change_state(
        cursor,
        breaker,
        State.OPEN,
        reason=reason,
        actor_label=ENGINE,
        opened_times=times,
        probe_in_seconds=open_seconds(breaker.policy, times),
    )
    return BreakerOpened(dependency=breaker.name, reason=reason) if moved else None


def _close(cursor: CursorWrapper, breaker: Breaker, reason: str) -> BreakerClosed | None:
    moved = store.change_state(cursor, breaker, State.CLOSED, reason=reason, actor_label=ENGINE, opened_times=0)
    if moved:
        store.wake_waiting_runs(cursor, breaker.name, per_second=WAKE_PER_SECOND)
    return BreakerClosed(dependency=breaker.name, reason=reason) if moved else None


_guard = Guard()
os.register_at_fork(after_in_child=_guard.reset)

permit = _guard.permit
report = _guard.report
give_back = _guard.give_back
flush = _guard.flush
reset = _guard.reset
