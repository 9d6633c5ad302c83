"""The dispatcher: sends runs to workers when their time has come, and again when somebody lost them.

Any number of replicas may run; ``FOR UPDATE SKIP LOCKED`` shares the work. Messages go out before the
transaction commits, so that a crash in between sends a run twice (harmless: a claim is) and never not at all.
Woken by NOTIFY; a poll once a second finds what no notification told of.
"""

from __future__ import annotations

import logging
import threading
import time
from uuid import UUID

import psycopg
import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from kombu.exceptions import OperationalError as BrokerError

from portal.core.chores import start_due_chores
from workflows import dispatch
from workflows.engine import crash_points, holder, store
from workflows.models import Run

log = logging.getLogger(__name__)
POLL_SECONDS = 1.0
BEAT_SECONDS = 2.0
LOCKS_SECONDS = 1.0
CHORES_SECONDS = 60.0
BATCH = 500
PATIENCE_SECONDS = 30.0  # before a run in a non-empty queue is sent again; doubles with each sending
PATIENCE_EMPTY_SECONDS = 2.0  # the queue is empty, so the message is lost, or is starting this moment
FORGET_SECONDS = 3600.0


class Dispatcher:
    """One replica."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._beaten_at = float("-inf")
        self._chores_at = float("-inf")
        self._locks_at = float("-inf")
        self._listener: psycopg.Connection | None = None
        self._broker = redis.Redis.from_url(
            settings.CACHES["default"]["LOCATION"], socket_connect_timeout=2, socket_timeout=2
        )

    def stop(self) -> None:
        """Let ``run`` return after the round it is in."""
        self._stop.set()

    def run(self) -> None:
        """Go round until stopped. A database or broker that is away is waited for."""
        log.info("Dispatcher %s is up.", holder.identity())
        while not self._stop.is_set():
            try:
                sent = self.round()
                if sent < BATCH:
                    self._wait()
                self._start_chores()
            except (BrokerError, redis.RedisError, OSError) as exc:
                log.warning("The broker cannot be reached: %s. Trying again.", exc)
                self._stop.wait(POLL_SECONDS)
            except (DatabaseError, psycopg.Error) as exc:
                log.warning("The database cannot be reached: %s. Trying again.", exc)
                self._forget_connections()
                self._stop.wait(POLL_SECONDS)

    def round(self) -> int:
        """Do everything that is due now; returns the number of messages sent."""
        if time.monotonic() - self._beaten_at >= BEAT_SECONDS:
            store.beat(holder.identity(), "dispatcher", [])
            store.forget_silent(FORGET_SECONDS)
            self._beaten_at = time.monotonic()
        return self._reclaim() + self._wake() + self._hand_on_locks() + self._send_again()

    def _start_chores(self) -> None:
        if time.monotonic() - self._chores_at >= CHORES_SECONDS:
            start_due_chores()
            self._chores_at = time.monotonic()

    def _reclaim(self) -> int:
        dead = [owner for owner in store.lease_owners() if holder.is_known_dead(owner)]
        with transaction.atomic():
            runs = store.reclaim(BATCH, dead)
            crash_points.reach("dispatcher.after_reclaim") if runs else None
            self._send(runs)
        if runs:
            log.warning("Took back %d runs whose workers are gone.", len(runs))
        return len(runs)

    def _wake(self) -> int:
        with transaction.atomic():
            runs = store.wake_due(BATCH)
            self._send(runs)
        return len(runs)

    def _hand_on_locks(self) -> int:
        """Give locks that nobody works under to the next in their queues."""
        if time.monotonic() - self._locks_at < LOCKS_SECONDS:
            return 0
        self._locks_at = time.monotonic()
        store.tidy_locks()
        sent = 0
        for key in store.orphaned_locks(BATCH):
            with transaction.atomic():
                runs = store.hand_on_orphan(key)
                self._send(runs)
            sent += len(runs)
        return sent

    def _send_again(self) -> int:
        empty = self._empty_queues()
        with transaction.atomic():
            runs = store.take_undelivered(
                BATCH, patience=PATIENCE_SECONDS, patience_empty=PATIENCE_EMPTY_SECONDS, empty_queues=empty
            )
            self._send(runs)
        return len(runs)

    def _send(self, runs: list[tuple[UUID, str]]) -> None:
        for run_id, queue in runs:
            crash_points.reach("dispatcher.before_send")
            dispatch.send_run(run_id, queue)
            crash_points.reach("dispatcher.after_send")

    def _empty_queues(self) -> list[str]:
        """Return the queues that should hold something, but about which the broker says that they hold nothing."""
        queued = Run.objects.filter(status__in=["queued", "rolling_back"], lease_owner="", wake_at=None)
        names = queued.order_by().values_list("queue", flat=True).distinct()
        return [name for name in names if self._broker.llen(name) == 0]

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
