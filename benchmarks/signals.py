"""How steps tell the benchmark that they ran, without a database or a broker: datagrams to a unix socket."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

VARIABLE = "BENCHMARK_SOCKET"
GO = ".go"
_sender: socket.socket | None = None


def tell(word: str) -> None:
    """Send ``word`` and the time to whoever listens, if anybody does."""
    global _sender
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if _sender is None:
        _sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        _sender.connect(address)
    _sender.send(f"{word} {time.perf_counter_ns()}".encode())


def line_up() -> None:
    """Say that this process is ready, and return when all are told to go."""
    tell("ready")
    go = Path(os.environ[VARIABLE] + GO)
    while not go.exists():
        time.sleep(0.002)


class Listener:
    """Receives what steps tell. All processes of a machine share one clock (CLOCK_MONOTONIC)."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(str(self.path))

    def hear(self, timeout: float = 60) -> tuple[str, float]:
        """Return the next word and when it was sent (seconds of the performance counter)."""
        self._socket.settimeout(timeout)
        word, _, sent = self._socket.recv(200).decode().rpartition(" ")
        return word, int(sent) / 1e9

    def wait_for(self, word: str, count: int) -> None:
        """Return when ``word`` has been heard ``count`` times."""
        while count:
            count -= self.hear()[0].startswith(word)

    def forget(self) -> None:
        """Drop what was told and not yet heard."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(200):
                pass

    def go(self) -> None:
        """Let all go that have lined up."""
        Path(f"{self.path}{GO}").touch()

    def close(self) -> None:
        """Take the socket away."""
        self._socket.close()
        self.path.unlink(missing_ok=True)
        Path(f"{self.path}{GO}").unlink(missing_ok=True)
