"""This worker process: its identity, the run it holds, and the heartbeat that keeps the lease alive."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import psutil
from django.db import Error as DatabaseError
from django.db import connection

from workflows.dependencies import guard
from workflows.engine import interrupt, store

log = logging.getLogger(__name__)
DEAF_SECONDS = 15.0  # a step that ignores its interruption for this long takes its worker process with it


@dataclass(slots=True)
class Held:
    """The work in hand. ``renew`` makes its lease last longer, and says whether it still could.

    ``deadline``: when the running step must be over (monotonic seconds), None between steps. ``renewed_at``: when
    the last renewal that succeeded was asked for, so the lease is at least as fresh as this.
    """

    renew: Callable[[], bool]
    deadline: float | None = None
    renewed_at: float = field(default_factory=time.monotonic)

    def refuse_if_expired(self) -> None:
        """Let nothing begin under a lease that may be another worker's by now: this process was frozen, or cut off.

        :raises LeaseTaken: if the lease was not renewed in its time.
        """
        if time.monotonic() - self.renewed_at > store.LEASE_SECONDS:
            raise interrupt.LeaseTaken("The lease ran out before the step began.")


@lru_cache(maxsize=2)
def _identity(pid: int) -> str:
    return f"{_place()}:{pid}:{psutil.Process(pid).create_time():.2f}"


def _place() -> str:
    try:
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        namespace = "-"
    return f"{socket.gethostname()}:{namespace}"


def identity() -> str:
    """Return this process's name: host, process-id namespace, process id and start time, joined by ":"."""
    return _identity(os.getpid())


def is_known_dead(owner: str) -> bool:
    """Tell whether ``owner`` was a process of this very host that no longer lives; False if that cannot be known."""
    place, _, process = owner.rpartition(":")
    place, _, pid = place.rpartition(":")
    if place != _place() or not pid.isdigit():
        return False
    try:
        found = psutil.Process(int(pid))
        return f"{found.create_time():.2f}" != process or found.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False


class Holder:
    """Holds at most one piece of work, a run or a slot, at a time: steps run in the process's main thread."""

    def __init__(self) -> None:
        self._held: Held | None = None
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, renew: Callable[[], bool]) -> Iterator[Held]:
        """Keep a lease alive (if the heartbeat runs) for the length of a ``with`` block."""
        held = Held(renew)
        with self._lock:
            self._held = held
        try:
            yield held
        finally:
            with self._lock:
                self._held = None

    def heartbeat(self, queues: list[str]) -> None:
        """Say that this process lives, and renew the lease it holds, for ever. The body of a daemon thread."""
        while True:
            try:
                self.beat_once(queues)
            except DatabaseError as exc:
                # Without the database nothing can be checkpointed either; the fencing token settles who goes on.
                log.warning("The heartbeat cannot reach the database: %s", exc)
                connection.close()
            time.sleep(store.RENEW_SECONDS)

    def beat_once(self, queues: list[str]) -> None:
        """Renew once, and interrupt the step if its run was taken over."""
        store.beat(identity(), "worker", queues)
        guard.flush()
        held = self._held
        if held is None:
            return
        if held.deadline is not None and time.monotonic() > held.deadline + DEAF_SECONDS:
            log.critical("A step ignored its time limit for %g s; this worker process ends itself.", DEAF_SECONDS)
            os.kill(os.getpid(), signal.SIGKILL)
        asked_at = time.monotonic()
        if held.renew():
            held.renewed_at = max(held.renewed_at, asked_at)
        else:
            with self._lock:
                if self._held is held and held.deadline is not None:
                    interrupt.take_lease_away()


holder = Holder()
_started_in = 0


def start_heartbeat(queues: list[str]) -> None:
    """Start the heartbeat thread of this process, once (also after a fork)."""
    global _started_in
    if _started_in != os.getpid():
        _started_in = os.getpid()
        threading.Thread(target=holder.heartbeat, args=(queues,), name="heartbeat", daemon=True).start()
