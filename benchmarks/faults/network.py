"""The lines between a host and the servers, each of which can be cut: a proxy in front of every one.

``DROP`` closes what is open and refuses what is new, as a router that resets. ``HOLD`` lets nothing through and
tells nobody, as a cable that is out: what was sent meanwhile arrives late, unless its sender has given up.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

CHUNK = 65536
T = TypeVar("T")


class Cut(StrEnum):
    """What a line does with bytes."""

    NONE = "none"
    DROP = "drop"
    HOLD = "hold"


class Line:
    """One proxy: from a socket of its own to a server's."""

    def __init__(self, target: Path | int) -> None:
        self.target = target
        self.cut = Cut.NONE
        self._open: set[asyncio.StreamWriter] = set()
        self._passing = asyncio.Event()
        self._passing.set()

    def switch(self, cut: Cut) -> None:
        """Change what the line does."""
        self.cut = cut
        if cut is Cut.HOLD:
            self._passing.clear()
            return
        self._passing.set()
        if cut is Cut.DROP:
            for writer in tuple(self._open):
                writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        self._open.add(writer)
        with suppress(OSError):  # the server is away: the caller sees its connection closed
            await self._relay(reader, writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._passing.wait()
            if self.cut is Cut.DROP or reader.at_eof():
                return
            far_reader, far_writer = await self._connect()
            self._open.add(far_writer)
            try:
                await _either(self._carry(reader, far_writer, writer), self._carry(far_reader, writer, far_writer))
            finally:
                self._open.discard(far_writer)
                far_writer.close()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.target, int):
            return await asyncio.open_connection("127.0.0.1", self.target)
        return await asyncio.open_unix_connection(self.target)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, origin: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._passing.wait()
            await asyncio.sleep(0)  # so that an end that came meanwhile is seen
            if reader.at_eof() or origin.transport.is_closing():
                return
            writer.write(data)
            await writer.drain()


async def _either(*ways: Coroutine[Any, Any, None]) -> None:
    tasks = [asyncio.ensure_future(way) for way in ways]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, OSError):
            await task


class Network:
    """All lines, by (host, server), carried by one thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines: dict[tuple[str, str], Line] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="network", daemon=True).start()

    def connect(self, host: str, servers: Mapping[str, Path | int]) -> dict[str, Path | int]:
        """Give a host its lines; return the near end of each: a path for a path, a port for a port."""
        near: dict[str, Path | int] = {}
        for name, target in servers.items():
            line = self._lines[host, name] = self._call(self._make(target))
            near[name] = self._call(self._listen(line, host, target))
        return near

    def switch(self, host: str, server: str, cut: Cut) -> None:
        """Cut or mend one line."""
        self._loop.call_soon_threadsafe(self._lines[host, server].switch, cut)

    def mend(self) -> None:
        """Mend every line."""
        for host, server in self._lines:
            self.switch(host, server, Cut.NONE)

    async def _make(self, target: Path | int) -> Line:
        return Line(target)

    async def _listen(self, line: Line, host: str, target: Path | int) -> Path | int:
        if isinstance(target, int):
            server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
            return int(server.sockets[0].getsockname()[1])
        path = self.folder / host / target.name
        path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.start_unix_server(line.serve, path)
        return path

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)
