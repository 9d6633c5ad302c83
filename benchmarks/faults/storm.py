"""The storm: a seeded mix of faults. Each says what it did; each that lasts is taken back after its time."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import psycopg

from benchmarks.faults.installation import SERVERS, Installation
from benchmarks.faults.network import Cut
from workflows.engine.store import LEASE_SECONDS

SERVICES = ("payments", "banking", "mail")
PAUSE_SECONDS = 1.6  # between two faults, on average
STEP_SECONDS = 0.1
# Not longer than what a run's last retry waits for: the storm is to disturb, not to fail everything.
SERVICE_SECONDS = (1.0, 6.0)
CUT_SECONDS = (0.5, LEASE_SECONDS + 6)


@dataclass(order=True, slots=True)
class Lasting:
    """A fault that is to be taken back at ``until`` (monotonic seconds)."""

    until: float
    what: str = field(compare=False)
    undo: Callable[[], object] = field(compare=False)


class Storm:
    """Does one thing after the other to an installation. ``done`` counts the faults by kind."""

    def __init__(self, installation: Installation, rng: random.Random) -> None:
        self.at, self.rng = installation, rng
        self.done: Counter[str] = Counter()
        self._lasting: list[Lasting] = []
        self._frozen: set[int] = set()
        self._faults: tuple[tuple[Callable[[], str], int], ...] = (
            (self.kill_a_pool_process, 10),
            (self.kill_a_worker, 6),
            (self.kill_a_dispatcher, 4),
            (self.kill_the_web_server, 3),
            (self.kill_the_starter, 3),
            (self.kill_the_database, 2),
            (self.kill_a_database_session, 1),
            (self.kill_the_broker, 2),
            (self.empty_the_broker, 6),
            (self.freeze_a_worker, 6),
            (self.cut_a_line, 8),
            (self.cut_a_host_off, 4),
            (self.trouble_a_service, 12),
            (self.kill_the_sandbox, 2),
        )
        self._first = [fault for fault, _ in self._faults]
        self.rng.shuffle(self._first)

    def rage(self, seconds: float) -> None:
        """Do something every now and then for this long, then take everything back that lasts."""
        end = time.monotonic() + seconds
        following = time.monotonic()
        while time.monotonic() < end:
            self.at.tend()
            self._take_back(time.monotonic())
            if time.monotonic() >= following:
                self._strike()
                following = time.monotonic() + self.rng.expovariate(1 / PAUSE_SECONDS)
            time.sleep(STEP_SECONDS)
        self.calm()

    def calm(self) -> None:
        """Take everything back, a frozen worker only when its lease is over, and see that all runs that should."""
        while self._frozen:
            self.at.tend()
            self._take_back(time.monotonic())
            time.sleep(STEP_SECONDS)
        self._take_back(float("inf"))
        self.at.network.mend()
        for service in SERVICES:
            self.at.sandbox.client.set_fault(service)
        self.at.tend()

    def _strike(self) -> None:
        """Do each kind of fault once, in a drawn order, and then as often as each weighs."""
        if self._first:
            fault = self._first.pop()
        else:
            (fault,) = self.rng.choices([fault for fault, _ in self._faults], [weight for _, weight in self._faults])
        try:
            done = fault()
        except (psycopg.OperationalError, httpx.HTTPError):
            return  # what it would have asked first is away itself
        if done:
            self.done[done] += 1

    def _take_back(self, now: float) -> None:
        while self._lasting and min(self._lasting).until <= now:
            over = min(self._lasting)
            self._lasting.remove(over)
            over.undo()

    def _last(self, seconds: float, what: str, undo: Callable[[], object]) -> None:
        self._lasting.append(Lasting(time.monotonic() + seconds, what, undo))

    # Deaths -----------------------------------------------------------------------------------------

    def kill_a_pool_process(self) -> str:
        """SIGKILL one pool process, by preference one that holds a run."""
        pids = self._holders() or [child.pid for name in self._workers() for child in self.at.children(name)]
        if not pids:
            return ""
        _signal(self.rng.choice(pids), signal.SIGKILL)
        return "pool process killed"

    def kill_a_worker(self) -> str:
        """SIGKILL a worker with its pool."""
        self.at.kill_all_of(self.rng.choice(self._workers()))
        return "worker killed"

    def kill_a_dispatcher(self) -> str:
        """SIGKILL a dispatcher."""
        self.at.kill(self.rng.choice([name for name in self.at.hosts if name.startswith("dispatcher")]))
        return "dispatcher killed"

    def kill_the_web_server(self) -> str:
        """SIGKILL the web server with its children."""
        self.at.kill_all_of("web")
        return "web server killed"

    def kill_the_starter(self) -> str:
        """SIGKILL whoever starts runs."""
        self.at.kill("starter")
        return "starter killed"

    def kill_the_database(self) -> str:
        """SIGKILL PostgreSQL as a whole."""
        self.at.kill("postgres")
        return "database killed"

    def kill_a_database_session(self) -> str:
        """SIGKILL one session's process: PostgreSQL then ends all others and recovers."""
        rows = self.at.ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        _signal(self.rng.choice(rows)[0], signal.SIGKILL)
        return "database session killed"

    def kill_the_broker(self) -> str:
        """SIGKILL Valkey."""
        self.at.kill("valkey")
        return "broker killed"

    def empty_the_broker(self) -> str:
        """Throw away all that the broker holds."""
        self.at.empty_broker()
        return "broker emptied"

    def kill_the_sandbox(self) -> str:
        """SIGKILL the services outside, and start them again."""
        self.at.sandbox.kill()
        self.at.sandbox.restart()
        return "services killed"

    # Lasting trouble --------------------------------------------------------------------------------

    def freeze_a_worker(self) -> str:
        """SIGSTOP a process that holds a run until well past its lease; then it wakes, a zombie."""
        pids = [pid for pid in self._holders() if pid not in self._frozen]
        if not pids:
            return ""
        pid = self.rng.choice(pids)
        _signal(pid, signal.SIGSTOP)
        self._frozen.add(pid)
        self._last(LEASE_SECONDS + self.rng.uniform(1, 6), "frozen", lambda: self._thaw(pid))
        return "worker frozen past its lease"

    def _thaw(self, pid: int) -> None:
        self._frozen.discard(pid)
        _signal(pid, signal.SIGCONT)

    def cut_a_line(self) -> str:
        """Cut one host off from one server."""
        host, server = self.rng.choice(self.at.hosts), self.rng.choice(SERVERS)
        cut = self.rng.choice((Cut.DROP, Cut.HOLD))
        self._cut(host, (server,), cut)
        return f"line to the {server} {'reset' if cut is Cut.DROP else 'held'}"

    def cut_a_host_off(self) -> str:
        """Cut one host off from everything."""
        self._cut(self.rng.choice(self.at.hosts), SERVERS, Cut.HOLD)
        return "host cut off"

    def _cut(self, host: str, servers: tuple[str, ...], cut: Cut) -> None:
        for server in servers:
            self.at.network.switch(host, server, cut)

        def mend() -> None:
            for server in servers:
                self.at.network.switch(host, server, Cut.NONE)

        self._last(self.rng.uniform(*CUT_SECONDS), "cut", mend)

    def trouble_a_service(self) -> str:
        """Let a service be slow, half-hearted, busy or down for a while."""
        service = self.rng.choice(SERVICES)
        mode, how = self.rng.choice(
            (
                ("slow", {"delay_seconds": self.rng.uniform(1, 12)}),
                ("half_response", {}),
                ("rate_limited", {"retry_after_seconds": 1}),
                ("down", {"drop_connection": self.rng.random() < 0.5}),
            )
        )
        self.at.sandbox.client.set_fault(service, mode, **how)
        self._last(self.rng.uniform(*SERVICE_SECONDS), service, lambda: self.at.sandbox.client.set_fault(service))
        return f"{service} {mode.replace('_', ' ')}"

    # Who ----------------------------------------------------------------------------------------------

    def _workers(self) -> list[str]:
        return [name for name in self.at.hosts if name.startswith("worker")]

    def _holders(self) -> list[int]:
        """Return the process ids of pool processes that hold a run."""
        ours = {child.pid for name in self._workers() for child in self.at.children(name)}
        owners = self.at.ask("SELECT DISTINCT lease_owner FROM workflows_run WHERE lease_owner <> ''")
        pids = {int(owner.split(":")[-2]) for (owner,) in owners}
        return sorted(ours & pids)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
