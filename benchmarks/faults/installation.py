"""An installation of several "hosts" on one machine, each with its own lines, its own name and its own clock."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psutil

from benchmarks.faults import recorder
from benchmarks.faults.network import Network
from portal.demo.sandbox.client import RunningSandbox, running_sandbox
from tests.faults.fleet import MANAGE, ROOT, Fleet

SERVERS = ("database", "broker", "sandbox")
# Seconds by which a host's clock is wrong; drawn anew each time one of its processes starts.
CLOCKS = (0.0, 45.0, -45.0, 600.0, -600.0)
SITE = ROOT / "benchmarks" / "faults" / "site"
LOAD = (sys.executable, "-m", "benchmarks.faults.load")


class Installation(Fleet):
    """A fleet with a web server, load and people, in which each worker and dispatcher is a host of its own.

    Only the first worker and the first dispatcher share a host, so that a death is sometimes seen at once and
    sometimes only by its lease.
    """

    def __init__(self, folder: Path, sandbox: RunningSandbox, *, rng: random.Random, broken: str = "") -> None:
        super().__init__(folder, sandbox, workers=2, dispatchers=2)
        self.folder, self.rng = folder, rng
        self.network = Network(folder / "net")
        self.hosts = [name for name in self.commands if name.startswith(("worker", "dispatcher"))]
        self.clocks: dict[str, float] = {}
        self.web_port = _free_port()
        self.accepted = folder / "accepted.log"
        self.environment |= {
            "FLOW_APPS": "benchmarks.probes,benchmarks.broken" if broken else "benchmarks.probes",
            "TORTURE_BROKEN": broken,
            "TORTURE_ACCEPTED": str(self.accepted),
            "TORTURE_WEB": f"http://127.0.0.1:{self.web_port}",
            "LOG_LEVEL": "WARNING",
        }
        gunicorn = ("--bind", f"127.0.0.1:{self.web_port}", "--worker-class", "gthread", "--threads", "4")
        self.commands["web"] = (sys.executable, "-m", "gunicorn", "portal.wsgi", *gunicorn, "--no-control-socket")
        self.load_command = LOAD
        self._lines = {host: self._connect(host) for host in self.hosts}

    def start(self) -> None:
        """Start everything on a fresh database, with the recorder in it and a token for the people."""
        commands, self.commands = self.commands, {}
        super().start()
        made = subprocess.run(
            [*LOAD, "prepare"], cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        )
        self.environment |= json.loads(made.stdout.splitlines()[-1])
        recorder.install(self.postgres.url)
        self.commands = commands
        self.tend()

    def environment_of(self, name: str) -> Mapping[str, str]:
        """Return a host's environment: its lines, its name, and a clock that is wrong by a drawn amount."""
        named = self.environment | {"PGAPPNAME": name}
        if name not in self.hosts:
            return named
        is_first = name.endswith("-0")
        self.clocks[name] = 0.0 if is_first else self.rng.choice(CLOCKS)
        apart = {} if is_first else {"TORTURE_HOST": f"host-of-{name}", "TORTURE_CLOCK": str(self.clocks[name])}
        return named | self._lines[name] | apart | {"PYTHONPATH": f"{SITE}{os.pathsep}{ROOT}"}

    def children(self, name: str) -> list[psutil.Process]:
        """Return the pool processes of a worker."""
        try:
            return psutil.Process(self.processes[name].pid).children()
        except psutil.NoSuchProcess:
            return []

    def kill_all_of(self, name: str) -> None:
        """SIGKILL a process and all that it started, as the end of a host would."""
        for child in self.children(name):
            _send(child.pid, signal.SIGKILL)
        self.kill(name)

    def _connect(self, host: str) -> dict[str, str]:
        database = Path(self.postgres.place.sockets) / ".s.PGSQL.5432"
        near = self.network.connect(
            host, {"database": database, "broker": self.valkey.socket, "sandbox": self.sandbox.port}
        )
        folder, sandbox = Path(near["database"]).parent, f"http://127.0.0.1:{near['sandbox']}"  # type: ignore[arg-type]
        there = self.sandbox.client.environment()
        return {
            "DATABASE_URL": self.postgres.url.partition("?")[0] + f"?host={quote(str(folder), safe='')}",
            "REDIS_URL": f"redis+socket://{quote(str(near['broker']))}",
            **{name: url.replace(self.sandbox.client.url, sandbox) for name, url in there.items()},
        }

    def verified_audit(self) -> str:
        """Return what is wrong with the audit chain, "" if nothing."""
        done = subprocess.run(
            [*MANAGE, "verify_audit"], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        return "" if done.returncode == 0 else done.stderr.strip()[-500:]

    def facts(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of a query, each a dictionary."""
        return [row[0] for row in self.ask(f"SELECT to_jsonb(q) FROM ({sql}) q", *parameters)]  # noqa: S608 - our own


@contextmanager
def running_installation(*, rng: random.Random, broken: str = "") -> Iterator[Installation]:
    """Start an installation in a folder of its own; stop it at the end of the block and leave nothing."""
    with TemporaryDirectory(prefix="evenkeel-torture-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)  # the account that PostgreSQL runs as passes through
        with running_sandbox(folder) as sandbox:
            found = Installation(folder, sandbox, rng=rng, broken=broken)
            try:
                found.start()
                yield found
            finally:
                found.stop()


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
