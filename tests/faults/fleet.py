"""A whole installation of real processes that a test may kill: servers, sandbox, workers, dispatchers.

Everything is started from one thread and tended while the test waits, as ``manage.py up`` would: what dies is
started again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import redis

from portal.demo.sandbox.client import RunningSandbox, running_sandbox
from portal.stack.place import prepare_place
from portal.stack.process import plain_environment, spawn
from portal.stack.servers import Postgres, Server, Valkey

ROOT = Path(__file__).resolve().parents[2]
CELERY = (
    *(sys.executable, "-W", "ignore", "-m", "celery", "--quiet", "-A", "portal", "worker"),
    *("-P", "prefork", "-c", "2", "--loglevel", "WARNING"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
)
MANAGE = (sys.executable, "manage.py")


class Fleet:
    """Real processes by name. ``crash_points`` is the folder in which a point is armed by a file of its name."""

    def __init__(
        self, folder: Path, sandbox: RunningSandbox, *, workers: int, dispatchers: int, flows: str = ""
    ) -> None:
        place = prepare_place(folder / "state")
        self.postgres, self.valkey = Postgres(place, durable=False), Valkey(place)
        self.sandbox = sandbox
        self.crash_points = folder / "crash-points"
        self.crash_points.mkdir()
        self.log = (folder / "log").open("ab")
        self.environment = (
            os.environ
            | sandbox.client.environment()
            | {
                "DATABASE_URL": self.postgres.url,
                "REDIS_URL": self.valkey.url,
                "SECRET_KEY": "only-for-tests-" + "x" * 32,
                "ENVIRONMENT": "test",
                "DEMO": "true",
                "FLOW_APPS": flows,
                "CRASH_POINTS_DIR": str(self.crash_points),
            }
        )
        self.commands: dict[str, tuple[str, ...]] = {
            **{f"worker-{n}": (*CELERY, "-n", f"worker-{n}@%h") for n in range(workers)},
            **{f"dispatcher-{n}": (*MANAGE, "dispatcher") for n in range(dispatchers)},
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.down: set[str] = set()
        self.deaths: dict[str, int] = {}

    # Life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything, on a fresh database."""
        for server in (self.postgres, self.valkey):
            self._start_server(server)
        for command in ("migrate", "register_workflows"):
            subprocess.run(
                [*MANAGE, command, "-v0"] if command == "migrate" else [*MANAGE, command],
                cwd=ROOT,
                env=self.environment,
                check=True,
                stdout=self.log,
                stderr=self.log,
            )
        self.tend()

    def stop(self) -> None:
        """End everything at once."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.log.close()

    def tend(self) -> None:
        """Start again what has died, except what a test keeps down."""
        for server in (self.postgres, self.valkey):
            process = self.processes.get(server.name)
            if server.name not in self.down and (process is None or process.poll() is not None):
                self._start_server(server)
        for name, command in self.commands.items():
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                continue
            if process is not None:
                self.deaths[name] = self.deaths.get(name, 0) + 1
            self.processes[name] = spawn(
                command,
                environment=self.environment_of(name),
                output=self.log.fileno(),
                folder=ROOT,
                death_signal=signal.SIGKILL,
            )

    def environment_of(self, name: str) -> Mapping[str, str]:
        """Return the environment of a process of that name."""
        return self.environment

    def kill(self, name: str) -> None:
        """SIGKILL a process by name; pool processes of a worker go with it."""
        process = self.processes[name]
        process.kill()
        process.wait()

    def _start_server(self, server: Server) -> None:
        server.prepare()
        self.processes[server.name] = spawn(
            server.command,
            environment=plain_environment(),
            output=self.log.fileno(),
            account=server.place.account,
            folder=server.place.servers,
            death_signal=signal.SIGKILL,
        )
        self._until(server.answers, 30, f"{server.name} answers")

    # Waiting -------------------------------------------------------------------------------------

    def wait_until(self, condition: Callable[[], bool], *, seconds: float, what: str) -> float:
        """Tend the fleet until the condition holds; returns the seconds it took.

        :raises AssertionError: if it does not hold in time.
        """
        return self._until(condition, seconds, what, tending=True)

    def _until(self, condition: Callable[[], bool], seconds: float, what: str, *, tending: bool = False) -> float:
        began = time.monotonic()
        while True:
            if tending:
                self.tend()
            try:
                if condition():
                    return time.monotonic() - began
            except (psycopg.OperationalError, redis.ConnectionError):
                pass
            assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s. {self.states()}"
            time.sleep(0.05)

    # Asking --------------------------------------------------------------------------------------

    def ask(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the fleet's database."""
        with psycopg.connect(self.postgres.url, connect_timeout=5) as connection:
            return connection.execute(sql, parameters).fetchall()

    def change(self, sql: str) -> None:
        """Change something in the fleet's database."""
        with psycopg.connect(self.postgres.url, connect_timeout=5) as connection:
            connection.execute(sql)

    def said(self) -> str:
        """Return everything that the fleet's processes have printed."""
        return Path(self.log.name).read_text(errors="replace")

    def states(self) -> Mapping[str, int]:
        """Return how many runs are in each state."""
        try:
            rows = self.ask("SELECT status || ' ' || waiting_reason, count(*) FROM workflows_run GROUP BY 1")
        except psycopg.OperationalError:
            return {"database down": 1}
        return {row[0].strip(): row[1] for row in rows}

    def empty_broker(self) -> None:
        """Throw away everything that the broker holds."""
        with redis.Redis(unix_socket_path=str(self.valkey.socket)) as client:
            client.flushall()

    # Load ----------------------------------------------------------------------------------------

    def arm(self, point: str) -> Path:
        """Let the next process that reaches this point die there; the file is gone when it has."""
        armed = self.crash_points / point
        armed.touch()
        return armed

    def load(self, batch: str, runs: int, *, rollback: bool = False, verb: str = "") -> subprocess.Popen[bytes]:
        """Start a process that starts runs (or rolls back those of a batch); it may be started again if it dies."""
        verb = verb or ("rollback" if rollback else "start")
        return spawn(
            (sys.executable, "-m", "tests.faults.load", verb, batch, str(runs)),
            environment=self.environment,
            output=self.log.fileno(),
            folder=ROOT,
            death_signal=signal.SIGKILL,
        )

    def load_until_done(
        self, batch: str, runs: int, *, seconds: float, rollback: bool = False, verb: str = ""
    ) -> None:
        """Have all runs of a batch started, however often the process that starts them dies."""
        process = self.load(batch, runs, rollback=rollback, verb=verb)

        def done() -> bool:
            nonlocal process
            if process.poll() is None:
                return False
            if process.returncode != 0:
                process = self.load(batch, runs, rollback=rollback, verb=verb)
                return False
            return True

        self.wait_until(done, seconds=seconds, what=f"the load of {batch}")

    def settled(self, batch: str, runs: int, status: str = "succeeded") -> bool:
        """Tell whether all runs of a batch are in that status."""
        (row,) = self.ask(
            "SELECT count(*) FILTER (WHERE status = %s), count(*) FROM workflows_run WHERE idempotency_key LIKE %s",
            status,
            f"{batch}:%",
        )
        return row == (runs, runs)


@contextmanager
def running_fleet(*, workers: int = 2, dispatchers: int = 2, flows: str = "") -> Iterator[Fleet]:
    """Start a fleet in a folder of its own; stop it at the end of the block and leave nothing.

    :param flows: a further app with workflows.
    """
    with TemporaryDirectory(prefix="evenkeel-fleet-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # the account that PostgreSQL runs as passes through
        with running_sandbox(folder) as sandbox:
            fleet = Fleet(folder, sandbox, workers=workers, dispatchers=dispatchers, flows=flows)
            try:
                fleet.start()
                yield fleet
            finally:
                fleet.stop()
