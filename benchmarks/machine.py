"""The servers that everything is measured on, and the meters: processor time, commits, broker messages."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis

from portal.stack.place import prepare_place
from portal.stack.process import plain_environment, spawn
from portal.stack.servers import Postgres, Server, Valkey

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30


@dataclass(slots=True)
class Machine:
    """PostgreSQL with default durability (fsync on) and Valkey, and the processes that are measured."""

    database_url: str
    redis_url: str
    folder: Path
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs to find the servers and the code."""
        return {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "ENVIRONMENT": "test",
            "SECRET_KEY": "only-for-benchmarks-" + "x" * 32,
            "FLOW_APPS": "benchmarks.steps",
            "DEMO": "false",
            "LOG_LEVEL": "WARNING",
        }

    @contextlib.contextmanager
    def running(self, *commands: Sequence[str], **environment: str) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Run these commands beside each other for the length of a ``with`` block."""
        started = [
            subprocess.Popen(
                list(command), cwd=ROOT, env=self.environment | environment, stdout=sys.stderr, start_new_session=True
            )
            for command in commands
        ]
        self.children += started
        try:
            yield started
        finally:
            for process in started:
                process.terminate()
            for process in started:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
                process.kill()
                process.wait()
                self.children.remove(process)

    def manage(self, *arguments: str) -> None:
        """Run a management command to its end."""
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment, stdout=sys.stderr, check=True
        )

    def recreate_database(self) -> None:
        """Make the ``public`` and all other schemas empty."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
            ).fetchall()
            for (schema,) in found:
                connection.execute(psycopg.sql.SQL("DROP SCHEMA {} CASCADE").format(psycopg.sql.Identifier(schema)))
            connection.execute("CREATE SCHEMA public")

    def redis(self) -> redis.Redis:
        """Return a client of the broker."""
        return redis.Redis.from_url(self.redis_url.replace("redis+socket://", "unix://", 1))


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """Give the servers named by DATABASE_URL and REDIS_URL, or start embedded ones in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="evenkeel-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)  # the account that PostgreSQL runs as passes through
        found = Machine(os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", ""), folder)
        place = prepare_place(folder)
        if not found.database_url:
            found.database_url = stack.enter_context(_served(Postgres(place), folder, found))
        if not found.redis_url:
            found.redis_url = stack.enter_context(_served(Valkey(place), folder, found))
        yield found


@contextlib.contextmanager
def _served(server: Server, folder: Path, found: Machine) -> Iterator[str]:
    server.prepare()
    log = folder / f"{server.name}.log"
    with log.open("wb") as output:
        process = spawn(
            server.command,
            environment=plain_environment(),
            output=output.fileno(),
            account=server.place.account,
            folder=server.place.servers,
            death_signal=server.stop_signal,
        )
    found.servers.append(process)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{server.name} did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield server.url
    finally:
        process.send_signal(server.stop_signal)
        process.wait(timeout=30)


@dataclass(frozen=True, slots=True)
class Reading:
    """The meters at one moment. Processor seconds of clients, database and broker; counters since the start."""

    at: float
    client: float
    database: float
    broker: float
    commits: int
    messages: int


def read_meters(found: Machine) -> Reading:
    """Read all meters. ``commits`` counts transactions that changed something: those that must be flushed."""
    with psycopg.connect(found.database_url) as connection:
        row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    assert row is not None
    client = found.redis()
    pushes = client.info("commandstats").get("cmdstat_lpush", {}).get("calls", 0)
    client.close()
    servers = [_cpu_seconds(process.pid) for process in found.servers] + [0.0, 0.0]
    own = _cpu_seconds(os.getpid(), but={process.pid for process in found.servers})
    return Reading(time.perf_counter(), own, servers[0], servers[1], row[0], pushes)


def _cpu_seconds(pid: int, but: set[int] = frozenset()) -> float:  # type: ignore[assignment]
    """Return the user and system time of a process, its descendants, and those of them that have ended."""
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        children = process.children()
    except psutil.NoSuchProcess:
        return 0.0
    own = times.user + times.system + times.children_user + times.children_system
    return own + sum(_cpu_seconds(child.pid) for child in children if child.pid not in but)


def cost(before: Reading, after: Reading, *, runs: int, steps: int) -> dict[str, Any]:
    """Return what ``runs`` runs of ``steps`` steps each cost between two readings."""
    seconds = after.at - before.at
    total = runs * steps
    parts = {name: getattr(after, name) - getattr(before, name) for name in ("client", "database", "broker")}
    return {
        "runs": runs,
        "seconds": round(seconds, 2),
        "runs_per_second": round(runs / seconds, 1),
        "steps_per_second": round(total / seconds),
        "cpu_ms_per_step": round(1000 * sum(parts.values()) / total, 3),
        "cpu_ms_per_step_by": {name: round(1000 * value / total, 3) for name, value in parts.items()},
        "cpu_seconds_per_1000_steps": round(1000 * sum(parts.values()) / total, 3),
        "commits_per_run": round((after.commits - before.commits) / runs, 2),
        "broker_messages_per_run": round((after.messages - before.messages) / runs, 2),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latency(values: Sequence[float]) -> dict[str, float]:
    """Return the median, 95th percentile and maximum in milliseconds."""
    named = {"p50": percentile(values, 0.5), "p95": percentile(values, 0.95), "max": max(values)}
    return {f"{name}_ms": round(1000 * value, 1) for name, value in named.items()}


def about(found: Machine) -> dict[str, Any]:
    """Return what the numbers were measured on."""
    with psycopg.connect(found.database_url) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        settings: Mapping[str, str] = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit')"
            ).fetchall()
        )
    assert version is not None
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "postgresql": version[0],
        **settings,
    }
