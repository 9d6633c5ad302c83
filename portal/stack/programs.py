"""The table of everything that `up` runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from portal.stack.process import plain_environment
from portal.stack.running import ROOT
from portal.stack.servers import Server
from portal.stack.supervisor import Program

MANAGE = (sys.executable, "manage.py")
MODULE = (sys.executable, "-m")
# Celery warns of a worker that runs as root; in a container of one's own that is how it is.
CELERY = (sys.executable, "-W", "ignore:You're running the worker with superuser", "-m", "celery", "--quiet")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person who starts the stack may choose."""

    demo: bool
    fresh: bool
    host: str
    port: int
    workers: int
    concurrency: int

    @property
    def address(self) -> str:
        """Where a browser on this machine finds the portal."""
        everywhere = self.host in {"127.0.0.1", "0.0.0.0", "::", "::1"}  # noqa: S104 - compared, not bound
        return f"http://{'localhost' if everywhere else self.host}:{self.port}"


def server_program(server: Server) -> Program:
    """Return how an embedded server is run."""
    return Program(
        name=server.name,
        command=server.command,
        environment=plain_environment(),
        folder=server.place.servers,
        account=server.place.account,
        prepare=server.prepare,
        stop_signal=server.stop_signal,
        # The database rolls back and checkpoints even when its supervisor is killed.
        death_signal=server.stop_signal,
        quiet=True,
        phase=0,
    )


def preparation(choices: Choices, environment: Mapping[str, str]) -> Program:
    """Return what must have run before anything takes work: migrations, roles, definitions, demo data."""
    demo = ("--demo",) if choices.demo else ()
    # The audit entries that it writes are worth a line in a log of their own, not in front of everybody.
    quiet = {"LOG_LEVEL": "WARNING", **environment}
    return Program("prepare", (*MANAGE, "prepare", *demo), quiet, ROOT)


def sandbox_program(environment: Mapping[str, str], state: Path) -> Program:
    """Return the stand-in for the demo's outside world."""
    port = environment["SANDBOX_URL"].rpartition(":")[2]
    store = state / "sandbox.sqlite3"
    command = (*MODULE, "portal.demo.sandbox", "--port", port, "--store", store, "--lifelike")
    # Steps on their way out still call it, so it is stopped with the servers.
    return Program("sandbox", command, environment, ROOT, phase=0)


def portal_programs(choices: Choices, environment: Mapping[str, str]) -> Iterable[Program]:
    """Return the portal's own processes, in the order in which they start."""

    def program(name: str, *command: str) -> Program:
        return Program(name, command, environment, ROOT)

    yield program("web", *MODULE, "gunicorn", "portal.wsgi", *_gunicorn(choices))
    for number in range(1, choices.workers + 1):
        yield program(f"worker-{number}", *CELERY, *_celery(choices, f"worker-{number}"))
    yield program("dispatcher", *MANAGE, "dispatcher")
    if choices.demo:
        yield program("traffic", *MANAGE, "demo_traffic")


def _gunicorn(choices: Choices) -> Iterable[str]:
    host = f"[{choices.host}]" if ":" in choices.host else choices.host
    yield from ("--bind", f"{host}:{choices.port}", "--worker-class", "gthread", "--workers", "2", "--threads", "4")
    yield from ("--preload", "--log-level", "warning", "--graceful-timeout", "5", "--no-control-socket")
    if os.access("/dev/shm", os.W_OK):  # noqa: S108 - a disk may stall gunicorn's heartbeat file; memory does not
        yield from ("--worker-tmp-dir", "/dev/shm")  # noqa: S108


def _celery(choices: Choices, name: str) -> Iterable[str]:
    yield from ("-A", "portal", "worker", "-n", f"{name}@%h", "--loglevel", "WARNING")
    yield from ("-P", "prefork", "-c", str(choices.concurrency))
    yield from ("--without-gossip", "--without-mingle", "--without-heartbeat")
