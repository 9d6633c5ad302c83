"""Children that end with their parent, under another account where the server insists on one."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from portal.stack.errors import StackError

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this machine."""

    name: str
    uid: int
    gid: int


def unprivileged_account() -> Account | None:
    """Return whom servers run as when we are root, which PostgreSQL refuses; else None: ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL does not run as root, and this machine has neither an account 'postgres' nor 'nobody'. "
        "Run this as an ordinary user, or set DATABASE_URL to a server that runs already."
    )


def die_with_parent(death_signal: int = signal.SIGTERM) -> Callable[[], None] | None:
    """Return what a child calls before exec so that the kernel signals it when its parent dies (Linux only).

    The kernel watches the *thread* that forked: start children from one that lives as long as the process.
    """
    if _libc is None:
        return None
    parent = os.getpid()
    return lambda: end_with_parent(death_signal, parent)


def end_with_parent(death_signal: int, parent: int) -> None:
    """Have the kernel signal this process when its parent, of that id, dies (Linux only)."""
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def spawn(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    output: int,
    account: Account | None = None,
    folder: Path | None = None,
    death_signal: int = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own, so that Ctrl-C reaches only us."""
    return subprocess.Popen(  # noqa: S603 - commands are our own tables, never input
        [str(part) for part in command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        process_group=0,
        preexec_fn=die_with_parent(death_signal),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def run_as(account: Account | None, command: Sequence[str | Path], *, folder: Path = Path("/")) -> tuple[int, str]:
    """Run a short command as that account; return its exit code and everything it said."""
    try:
        done = subprocess.run(  # noqa: S603
            [str(part) for part in command],
            cwd=folder,
            env=plain_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except PermissionError as exc:
        return 126, str(exc)
    return done.returncode, done.stdout.strip()


def plain_environment() -> dict[str, str]:
    """Return the little that a server needs: no secret of ours, no PG* variable."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
