"""Where the embedded servers keep their files: a folder that the account they run as can really reach."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from portal.stack.errors import StackError
from portal.stack.process import Account, run_as, unprivileged_account

# macOS keeps 104 bytes for a socket's path with its closing zero, Linux 108; PostgreSQL adds the longest name.
SOCKET_PATH_BYTES = 103
LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"


@dataclass(frozen=True, slots=True)
class Place:
    """The folders of one stack."""

    state: Path
    """Ours: secrets, log, the running stack's environment."""
    servers: Path
    """The servers' data, owned by `account`."""
    sockets: Path
    account: Account | None
    """Whom the servers run as; None: as ourselves."""

    def secret(self, name: str) -> str:
        """Return the secret of this name, made once and readable by the owner only."""
        file = self.state / "secrets" / name
        if not file.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as stream:
                stream.write(secrets.token_urlsafe(48))
        return file.read_text()

    def empty(self) -> None:
        """Throw the data away; secrets, log and the copy of the programs stay."""
        for folder in ("postgres", "valkey"):
            shutil.rmtree(self.servers / folder, ignore_errors=True)
        for file in self.state.glob("*.sqlite3*"):
            file.unlink()


def prepare_place(state: Path) -> Place:
    """Make the folders of a stack that keeps its state there.

    :raises StackError: where nothing may be written.
    """
    state = state.absolute()
    account = unprivileged_account()
    try:
        state.mkdir(parents=True, exist_ok=True)
        probe = state / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
        servers = _servers_folder(state, account)
        sockets = _sockets_folder(state, servers, account)
    except OSError as exc:
        raise StackError(
            f"Cannot write to {exc.filename or state}: {exc.strerror}. "
            "Make it writable, or set EVENKEEL_STATE to a folder that is."
        ) from exc
    return Place(state=state, servers=servers, sockets=sockets, account=account)


def _servers_folder(state: Path, account: Account | None) -> Path:
    """Return the servers' folder: in the state folder, or in /var/lib where that is closed to others."""
    inside = _owned(state / "servers", account)
    if _can_use(inside, account):
        return inside
    inside.rmdir()
    parent = Path("/var/lib/evenkeel")
    parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    outside = _owned(parent / _fingerprint(state), account)
    if not _can_use(outside, account):
        raise StackError(
            "The account that PostgreSQL runs as reaches neither "
            f"{state} nor {outside}. Set EVENKEEL_STATE to a folder below one that everybody may enter."
        )
    return outside


def _sockets_folder(state: Path, servers: Path, account: Account | None) -> Path:
    folder = servers / "run"
    if len(os.fsencode(folder / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_BYTES:
        return _owned(folder, account)
    short = Path(tempfile.gettempdir()) / f"evenkeel-{os.geteuid()}-{_fingerprint(state)}"
    if len(os.fsencode(short / LONGEST_SOCKET_NAME)) > SOCKET_PATH_BYTES:
        short = Path("/tmp") / short.name  # noqa: S108 - owner and mode are checked in _owned
    return _owned(short, account)


def _owned(folder: Path, account: Account | None) -> Path:
    """Make a folder that only its owner enters; refuse one that somebody else made."""
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise StackError(f"{folder} is not a folder. Move it away.")
    owner = account.uid if account else os.geteuid()
    if about.st_uid not in {owner, os.geteuid()}:
        raise StackError(
            f"{folder} belongs to another account (number {about.st_uid}). "
            "Start the stack as that one, or set EVENKEEL_STATE to another folder."
        )
    if about.st_uid != owner and account:
        os.chown(folder, account.uid, account.gid)
    return folder


def _can_use(folder: Path, account: Account | None) -> bool:
    if account is None:
        return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    code, _ = run_as(account, ["/bin/sh", "-c", 'cd "$1" && test -w .', "sh", folder])
    return code == 0


def _fingerprint(state: Path) -> str:
    return hashlib.sha256(os.fsencode(state)).hexdigest()[:12]
