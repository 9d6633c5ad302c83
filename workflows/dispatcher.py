"""The dispatcher: queues runs whose time has come, takes back what dead workers held, rings where runs stay.

Any number of replicas may run; ``FOR UPDATE SKIP LOCKED`` shares the work. The bell is rung after the commit, or a
worker could come before there is anything to find; dying in between leaves runs queued, and whoever comes round next
rings for them. Woken by NOTIFY; a poll once a second finds what no notification told of.
"""

from __future__ import annotations

import logging
import threading
import time
from uuid import UUID

import psycopg
from django.db import Error as DatabaseError
from django.db import connection, transaction

from portal.core.chores import added_chores, start_due_chores
from workflows import dispatch
from workflows.chores import CHORES
from workflows.clockwork import Clockwork
from workflows.engine import crash_points, holder, store
from workflows.events.router import tend_events

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
BEAT_SECONDS = 2.0
LOCKS_SECONDS = 1.0
CHORES_SECONDS = 60.0
BATCH = 500
PATIENCE_SECONDS = 2.0  # a run that is queued for longer was forgotten, or all workers are busy
FORGET_SECONDS = 3600.0


class Dispatcher:
    """One replica."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._beaten_at = float("-inf")
        self._chores_at = float("-inf")
        self._locks_at = float("-inf")
        self._clockwork = Clockwork()
        self._listener: psycopg.Connection | None = None

    def stop(self) -> None:
        """Let ``run`` return after the round it is in."""
        self._stop.set()

    def run(self) -> None:
        """Go round until stopped. A database or broker that is away is waited for."""
        log.info("Dispatcher %s is up.", holder.identity())
        while not self._stop.is_set():
            try:
                moved = self.round()
                if moved < BATCH:
                    self._wait()
                self._clockwork.tick()
                self._start_chores()
            except dispatch.UNREACHABLE as exc:
                log.warning("The broker cannot be reached: %s. Trying again.", exc)
                self._stop.wait(POLL_SECONDS)
            except (DatabaseError, psycopg.Error) as exc:
                log.warning("The database cannot be reached: %s. Trying again.", exc)
                self._forget_connections()
                self._stop.wait(POLL_SECONDS)

    def round(self) -> int:
        """Do everything that is due now; returns the number of runs and events that were moved on."""
        if time.monotonic() - self._beaten_at >= BEAT_SECONDS:
            store.beat(holder.identity(), "dispatcher", [])
            store.forget_silent(FORGET_SECONDS)
            self._beaten_at = time.monotonic()
        queued = [*self._reclaim(), *store.wake_due(BATCH), *self._hand_on_locks()]
        for queue in {queue for _, queue in queued}:
            crash_points.reach("dispatcher.before_send")
            dispatch.ring(queue)
            crash_points.reach("dispatcher.after_send")
        self._ring_again()
        return len(queued) + tend_events()

    def _start_chores(self) -> None:
        if time.monotonic() - self._chores_at >= CHORES_SECONDS:
            start_due_chores((*CHORES, *added_chores()))
            self._chores_at = time.monotonic()

    def _reclaim(self) -> list[tuple[UUID, str]]:
        dead = [owner for owner in store.lease_owners() if holder.is_known_dead(owner)]
        runs = store.reclaim(BATCH, dead)
        if runs:
            crash_points.reach("dispatcher.after_reclaim")
            log.warning("Took back %d runs whose workers are gone.", len(runs))
        return runs

    def _hand_on_locks(self) -> store.Queued:
        """Give locks that nobody works under to the next in their queues."""
        if time.monotonic() - self._locks_at < LOCKS_SECONDS:
            return []
        self._locks_at = time.monotonic()
        store.tidy_locks()
        queued: store.Queued = []
        for key in store.orphaned_locks(BATCH):
            with transaction.atomic():
                queued += store.hand_on_orphan(key)
        return queued

    def _ring_again(self) -> None:
        """Ring where runs stay though no message waits: it was lost, or lies with a worker that is busy."""
        for queue in store.queues_left_alone(PATIENCE_SECONDS):
            if dispatch.is_silent(queue):
                dispatch.ring(queue)

    # Waiting ------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Sleep until something is due, a notification comes, or a second has passed."""
        due = store.seconds_to_next_wake()
        seconds = POLL_SECONDS if due is None else min(max(due, 0.01), POLL_SECONDS)
        for _ in self._listening().notifies(timeout=seconds, stop_after=1):
            pass

    def _listening(self) -> psycopg.Connection:
        if self._listener is None or self._listener.closed:
            parameters = connection.get_connection_params()
            known = {
                name: parameters[name]
                for name in ("dbname", "user", "password", "host", "port")
                if name in parameters
            }
            self._listener = psycopg.connect(**known, autocommit=True)
            self._listener.execute(f"LISTEN {store.CHANNEL}")
        return self._listener

    def _forget_connections(self) -> None:
        connection.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
