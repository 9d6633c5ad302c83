"""Talk to a sandbox, and start one of your own (tests, benchmarks)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from portal.stack.process import die_with_parent


@dataclass(frozen=True, slots=True)
class Effects:
    """What a collection holds. ``by_key`` maps an operation key to (requests, effects)."""

    requests: int
    effects: int
    doubled: int
    by_key: dict[str, tuple[int, int]]
    records: list[dict[str, Any]]


class SandboxClient:
    """The sandbox's own switches and records. Raises httpx.HTTPError when it cannot be reached."""

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> SandboxClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def service_url(self, service: str) -> str:
        """Return the base URL of a service, such as payments."""
        return f"{self.url}/{service}"

    def environment(self) -> dict[str, str]:
        """Return the settings that make flows call this sandbox."""
        called = ("payments", "banking", "mail", "documents", "archive")
        services = {f"{name.upper()}_URL": self.service_url(name) for name in called}
        return {"SANDBOX_URL": self.url, **services}

    def faults(self) -> dict[str, dict[str, Any]]:
        """Return the present fault of each service."""
        answer: dict[str, dict[str, Any]] = self._http.get("/_faults").raise_for_status().json()
        return answer

    def set_fault(self, service: str, mode: str = "ok", **options: object) -> None:
        """Switch a service to a mode of ``faults.Mode``; options as in ``faults.Fault``."""
        self._http.put(f"/_faults/{service}", json={"mode": mode, **options}).raise_for_status()

    def add_history(self, records: Sequence[Mapping[str, Any]]) -> int:
        """Hand over records of the past (fields of ``store.PastRecord``); returns how many were new."""
        answer = self._http.post("/_records", json={"records": records}).raise_for_status().json()
        return int(answer["added"])

    def find(self, operation_key: str) -> tuple[int, list[dict[str, Any]]]:
        """Return how often an operation was asked for, and all that was done, each with its collection."""
        answer = self._http.get("/_records", params={"operation_key": operation_key}).raise_for_status().json()
        return answer["requests"], answer["records"]

    def records(self, collection: str, *, limit: int = 100_000) -> Effects:
        """Return what charges, refunds, payouts, recalls or receipts hold, newest first."""
        answer = self._http.get(f"/_records/{collection}", params={"limit": limit}).raise_for_status().json()
        keys = {k["operation_key"]: (k["requests"], k["effects"]) for k in answer["keys"]}
        return Effects(answer["requests"], answer["effects"], answer["doubled"], keys, answer["records"])


@dataclass(slots=True)
class RunningSandbox:
    """A sandbox process that belongs to the caller."""

    store: Path
    port: int
    process: subprocess.Popen[str]
    client: SandboxClient

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start it again on the same port and store."""
        self.process, self.port = _start(self.store, self.port)


@contextmanager
def running_sandbox(folder: Path) -> Iterator[RunningSandbox]:
    """Start a sandbox on a free port with its store in ``folder``; stop it at the end of the block."""
    store = folder / "sandbox.sqlite3"
    process, port = _start(store, 0)
    with SandboxClient(f"http://127.0.0.1:{port}") as client:
        sandbox = RunningSandbox(store, port, process, client)
        try:
            yield sandbox
        finally:
            sandbox.process.kill()
            sandbox.process.wait()


def _start(store: Path, port: int) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "portal.demo.sandbox", "--port", str(port), "--store", str(store)]
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent(),  # a test session that is killed leaves none behind
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    with process.stdout as output:
        line = output.readline()
    if "ready" not in line:
        process.wait()
        raise RuntimeError("The sandbox did not start.")
    return process, int(line.rsplit(":", 1)[1])
