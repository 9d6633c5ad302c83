"""A stack started by ``manage.py up`` as its own process, for tests that kill parts of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.architecture.source import ROOT

GIVEN_BY_THE_TESTS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENVIRONMENT", "DEMO", "DJANGO_SETTINGS_MODULE")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], object], *, seconds: float, otherwise: Callable[[], str]) -> None:
    """Wait until the condition holds; fail with what ``otherwise`` says."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)


class UpStack:
    """One state folder, and the `up` that runs from it at present."""

    def __init__(self, state: Path, *, user: int | None = None, home: Path | None = None) -> None:
        self.state = state
        self.port = free_port()
        self._user = user
        self._log = state.with_name(f"{state.name}.log")
        kept = {name: value for name, value in os.environ.items() if name not in GIVEN_BY_THE_TESTS}
        self.environment = kept | {"EVENKEEL_STATE": str(state), "PORT": str(self.port)}
        if home:
            self.environment["HOME"] = str(home)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run manage.py to its end beside the stack."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            user=self._user,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def start(self) -> None:
        """Start and wait for the ready line."""
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--workers", "1"],
                cwd=ROOT,
                env=self.environment,
                user=self._user,
                stdout=output,
                stderr=output,
            )
        eventually(
            lambda: "Evenkeel is ready at" in self.log or self.process.poll() is not None,
            seconds=60,
            otherwise=lambda: self.log,
        )
        assert self.process.poll() is None, self.log

    @property
    def log(self) -> str:
        """Everything it printed so far."""
        return self._log.read_text()

    def pid(self, name: str) -> int | None:
        """Return the process id of a part, None while it is down."""
        try:
            entry = json.loads((self.state / "processes").read_text()).get(name)
        except OSError:
            return None
        return int(entry["pid"]) if entry else None

    def family(self) -> list[psutil.Process]:
        """Return `up` and all of its descendants."""
        up = psutil.Process(self.process.pid)
        return [up, *up.children(recursive=True)]

    def is_ready(self) -> bool:
        """Ask /readyz."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz", headers={"Host": "localhost"})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it, and return the exit code once nothing of it is left."""
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(timeout=75)
        _, alive = psutil.wait_procs(family, timeout=15)
        assert not alive, [process.cmdline() for process in alive]
        return code
