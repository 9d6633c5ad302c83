"""What a running stack leaves in its state folder: a lock, its environment for other commands, its process ids."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import psutil

from portal.stack.errors import StackError

ROOT = Path(__file__).resolve().parent.parent.parent
ORPHAN_SECONDS = 15


def state_folder() -> Path:
    """Return where the stack of this checkout keeps its state."""
    return Path(os.environ.get("EVENKEEL_STATE") or ROOT / ".evenkeel").absolute()


def is_given(variable: str) -> bool:
    """Return whether the environment has a value for it, itself or in a file."""
    return bool(os.environ.get(variable) or os.environ.get(f"{variable}_FILE"))


def given_value(variable: str) -> str:
    """Return the value that the environment has for it, itself or in a file; "" for none.

    :raises StackError: if the file cannot be read.
    """
    file = os.environ.get(f"{variable}_FILE")
    if os.environ.get(variable) or not file:
        return os.environ.get(variable, "")
    try:
        return Path(file).read_text().strip()
    except OSError as exc:
        raise StackError(f"{variable}_FILE: cannot read {file}: {exc.strerror}.") from exc


def adopt_running_stack() -> None:
    """Give this process the environment of the stack that runs from this checkout, where it has none of its own."""
    if is_given("DATABASE_URL"):
        return
    with suppress(OSError, ValueError):
        for name, value in json.loads((state_folder() / "environment").read_text()).items():
            if not is_given(name):
                os.environ[name] = value


@contextmanager
def claimed(state: Path, address: str) -> Iterator[bool]:
    """Hold the state folder for this process; yield whether the one before was killed.

    :raises StackError: when another one holds it, with its address.
    """
    with (state / "lock").open("a+") as lock:
        lock.seek(0)
        before = lock.read()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"Evenkeel already runs from this folder: {before.strip()}.") from None
        _rewrite(lock, f"{address} (process {os.getpid()})\n")
        try:
            yield bool(before)
        finally:
            for name in ("environment", "processes"):
                (state / name).unlink(missing_ok=True)
            _rewrite(lock, "")


def publish_environment(state: Path, environment: Mapping[str, str]) -> None:
    """Let other commands find this stack; readable by the owner only, since secrets are in it."""
    _write(state / "environment", json.dumps(environment, indent=1))


def publish_processes(state: Path, pids: Mapping[str, int]) -> None:
    """Write down who runs, so that a later start can end them should we be killed."""
    known = {}
    for name, pid in pids.items():
        with suppress(psutil.Error):
            known[name] = {"pid": pid, "created": psutil.Process(pid).create_time()}
    _write(state / "processes", json.dumps(known, indent=1))


def end_orphans(state: Path) -> list[str]:
    """End what a killed stack left running; return the names."""
    ended = []
    with suppress(OSError, ValueError):
        for name, entry in json.loads((state / "processes").read_text()).items():
            with suppress(psutil.Error):
                process = psutil.Process(entry["pid"])
                if process.create_time() == entry["created"]:
                    _end_group(process)
                    ended.append(name)
    (state / "processes").unlink(missing_ok=True)
    return ended


def _end_group(process: psutil.Process) -> None:
    # SIGINT is a quick but orderly end for each of our programs, and the one that PostgreSQL calls "fast".
    process.send_signal(signal.SIGINT)
    with suppress(psutil.TimeoutExpired):
        process.wait(ORPHAN_SECONDS)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.1)


def _write(file: Path, text: str) -> None:
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    beside.replace(file)


def _rewrite(stream: TextIO, text: str) -> None:
    stream.seek(0)
    stream.truncate()
    stream.write(text)
    stream.flush()
