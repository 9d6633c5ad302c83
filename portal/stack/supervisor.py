"""Starts processes, carries their output to the console, starts again what dies, and stops all in order.

One thread, one loop: output, deaths and signals all wake the same ``select``. The kernel ties the children to
the thread that forked them (see `process.die_with_parent`), so there must be no other.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from portal.stack.console import Console
from portal.stack.errors import StackError
from portal.stack.process import Account, spawn

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
HEALTHY_AFTER_SECONDS = 30.0
STOP_SECONDS = 30.0  # longer than a step of the demo that waits for its timeout
SAME_WISH_SECONDS = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how to end it."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str]
    folder: Path
    account: Account | None = None
    prepare: Callable[[], None] = lambda: None
    """Called before every start."""
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL
    """What the kernel sends when the supervisor itself is killed."""
    quiet: bool = False
    """Its lines go to the file, and to the screen only when it dies."""
    phase: int = 1
    """Higher phases are stopped first: the servers that others need have 0."""


@dataclass(slots=True)
class Child:
    """A program and the process that runs it at present, if one does."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = 0.0
    unfinished_line: bytes = b""


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or sent a signal."""


@dataclass(slots=True)
class Supervisor:
    """The loop over all children."""

    console: Console
    on_change: Callable[[Mapping[str, int]], None] = lambda pids: None
    """Told the process ids by name whenever they change."""
    children: list[Child] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _stopping: bool = False
    _stop_signals: int = 0
    _signal_name: str = ""
    _signalled_at: float = float("-inf")

    def __post_init__(self) -> None:
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ, (wake, woken))
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in STOP_SIGNALS:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self._note_stop_signal)

    def start(self, program: Program) -> Child:
        """Start a program now and keep it running."""
        child = Child(program)
        self.children.append(child)
        self._start(child)
        return child

    def run_once(self, program: Program) -> int:
        """Run a program to its end; return its exit code."""
        child = Child(program)
        self._start(child)
        assert child.process  # noqa: S101 - it was started one line above
        try:
            while child.process.poll() is None:
                self.turn(1)
        finally:
            _signal_group(child.process, signal.SIGKILL)
        self.run_for(0.1)
        return child.process.returncode

    def run_for(self, seconds: float) -> None:
        """Keep everything going for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.turn(left)

    def wait_until(
        self, condition: Callable[[], bool], *, seconds: float, otherwise: str, every: float = 0.05
    ) -> None:
        """Keep everything going until the condition holds.

        :raises StackError: with ``otherwise``, when it does not within that time.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise StackError(otherwise)
            self.run_for(every)

    def turn(self, seconds: float) -> None:
        """Wait for the next thing to happen, at most so long, and see to it.

        :raises StopRequested: after Ctrl-C.
        """
        for key, _ in self._selector.select(self._at_most(seconds)):
            if isinstance(key.data, Child):
                self._read(key)
            else:
                with suppress(BlockingIOError):
                    key.fileobj.recv(4096)  # type: ignore[union-attr]
        if self._stop_signals and not self._stopping:
            raise StopRequested(self._signal_name)
        for child in self.children:
            if child.process and child.process.poll() is not None:
                self._bury(child)
            if not child.process and not self._stopping and time.monotonic() >= child.start_at:
                self._start(child)

    def stop(self) -> None:
        """Stop everything, phase by phase; a second Ctrl-C kills what is left."""
        self._stopping, self._stop_signals = True, 0
        for phase in sorted({child.program.phase for child in self.children}, reverse=True):
            self._stop_all([child for child in self.children if child.program.phase == phase])

    def _stop_all(self, children: list[Child]) -> None:
        for child in children:
            if child.process:
                with suppress(ProcessLookupError):
                    child.process.send_signal(child.program.stop_signal)
        deadline = time.monotonic() + STOP_SECONDS
        while any(child.process for child in children):
            if time.monotonic() > deadline or self._stop_signals:
                for child in children:
                    if child.process:
                        self.console.say(f"{child.program.name} does not stop; killing it")
                        _signal_group(child.process, signal.SIGKILL)
                deadline, self._stop_signals = time.monotonic() + STOP_SECONDS, 0
            self.turn(0.2)

    def _start(self, child: Child) -> None:
        program = child.program
        program.prepare()
        reading, writing = os.pipe()
        try:
            child.process = spawn(
                program.command,
                environment=program.environment,
                output=writing,
                account=program.account,
                folder=program.folder,
                death_signal=program.death_signal,
            )
        except OSError as exc:
            os.close(reading)
            raise StackError(f"{program.name} cannot be started: {exc}") from exc
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        self._selector.register(reading, selectors.EVENT_READ, child)
        child.started = time.monotonic()
        self._tell()

    def _bury(self, child: Child) -> None:
        """Note a death, take what is left of its group along, and set the time of the next start."""
        process, child.process = child.process, None
        assert process  # noqa: S101 - only called for one that has ended
        _signal_group(process, signal.SIGKILL)
        if self._stopping:
            self.console.say(f"{child.program.name} stopped")
        else:
            lived = time.monotonic() - child.started
            child.failures = 1 if lived > HEALTHY_AFTER_SECONDS else child.failures + 1
            pause = min(FIRST_PAUSE_SECONDS * 2 ** (child.failures - 1), LONGEST_PAUSE_SECONDS)
            child.start_at = time.monotonic() + pause
            self.console.show_unseen(child.program.name)
            self.console.say(f"{child.program.name} {_ending(process.returncode)}; starting it again in {pause:g} s")
        self._tell()

    def _read(self, key: selectors.SelectorKey) -> None:
        child: Child = key.data
        data = os.read(key.fd, 65536)
        *lines, rest = (child.unfinished_line + data).split(b"\n")
        if not data:
            lines, rest = [rest] if rest else [], b""
            self._selector.unregister(key.fileobj)
            os.close(key.fd)
        child.unfinished_line = rest
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            self.console.line(child.program.name, text, quiet=child.program.quiet)

    def _at_most(self, seconds: float) -> float:
        waiting = [] if self._stopping else [child for child in self.children if not child.process]
        due = [child.start_at - time.monotonic() for child in waiting]
        return max(0.0, min([seconds, *due]))

    def _tell(self) -> None:
        self.on_change({c.program.name: c.process.pid for c in self.children if c.process})

    def _note_stop_signal(self, number: int, frame: FrameType | None) -> None:
        # `timeout` and some shells signal a process and then its group: that is one wish, not two.
        if time.monotonic() - self._signalled_at > SAME_WISH_SECONDS:
            self._stop_signals += 1
        self._signalled_at = time.monotonic()
        self._signal_name = signal.Signals(number).name


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS: PermissionError for a group of zombies
        os.killpg(process.pid, number)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
