"""The two embedded servers: how each is made, started, asked whether it answers, and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import psutil
import psycopg
import redis
from psycopg import sql

from portal.stack.binaries import postgres_programs, valkey_program
from portal.stack.errors import StackError
from portal.stack.place import Place
from portal.stack.process import run_as

DATABASE = "evenkeel"
# For a throw-away database only: a crash of the machine would cost it, a killed server does not.
NOT_DURABLE = ("-c", "fsync=off", "-c", "full_page_writes=off")


class Server(Protocol):
    """One embedded server."""

    name: str
    stop_signal: int
    place: Place

    @property
    def url(self) -> str: ...

    @property
    def command(self) -> Sequence[str | Path]: ...

    def prepare(self) -> None:
        """Make its data if there is none, and clear away what a killed one left."""

    def answers(self) -> bool:
        """Return whether it takes connections now."""


@dataclass(slots=True)
class Postgres:
    """PostgreSQL on a unix socket, with passwords, checksums and a role that owns just its database."""

    place: Place
    durable: bool = True
    name: str = "postgres"
    # A "fast" shutdown: roll back what is open, checkpoint, leave.
    stop_signal: int = signal.SIGINT
    _programs: Path = field(init=False)

    def __post_init__(self) -> None:
        self._programs = postgres_programs(self.place)

    @property
    def data(self) -> Path:
        return self.place.servers / "postgres"

    @property
    def url(self) -> str:
        return self._url(DATABASE, self.place.secret("database_password"), DATABASE)

    @property
    def command(self) -> Sequence[str | Path]:
        settings = ("listen_addresses=", "max_connections=200", "log_checkpoints=off")
        return (
            *(self._programs / "postgres", "-D", self.data, "-k", self.place.sockets),
            *(part for setting in settings for part in ("-c", setting)),
            *(() if self.durable else NOT_DURABLE),
        )

    def prepare(self) -> None:
        if not (self.data / "PG_VERSION").exists():
            self._make_data()
        _end_orphan(self.data / "postmaster.pid", "postgres", self.data)

    def answers(self) -> bool:
        """Return whether the portal's own role gets in, making role and database the first time."""
        if not self._accepts_connections():
            return False
        return database_answers(self.url) or self._make_database()

    def _accepts_connections(self) -> bool:
        """Return what the server says of itself in the last line of its pid file, as pg_ctl reads it."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _make_data(self) -> None:
        """Run initdb beside the final folder and rename, so that half a run is never taken for a whole."""
        unfinished = self.data.with_name("postgres.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        password = self.place.servers / "password"
        _write_for(self.place, password, self.place.secret("postgres_password"))
        code, said = run_as(
            self.place.account,
            [
                *(self._programs / "initdb", "-D", unfinished, "-U", "postgres"),
                *("-A", "scram-sha-256", "--pwfile", password, "--data-checksums"),
                *("-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *(() if self.durable else ("--no-sync",)),
            ],
        )
        password.unlink()
        if code != 0:
            raise StackError(f"PostgreSQL could not make its data folder {self.data}:\n{said}")
        unfinished.rename(self.data)

    def _make_database(self) -> bool:
        try:
            with psycopg.connect(
                self._url("postgres", self.place.secret("postgres_password"), "postgres"),
                connect_timeout=2,
                autocommit=True,
            ) as connection:
                role = sql.Identifier(DATABASE)
                known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [DATABASE]).rowcount
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                        sql.SQL("ALTER" if known else "CREATE"),
                        role,
                        sql.Literal(self.place.secret("database_password")),
                    )
                )
                if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        except psycopg.OperationalError:
            return False
        return True

    def _url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{password}@/{database}?host={quote(str(self.place.sockets), safe='')}"


@dataclass(slots=True)
class Valkey:
    """Valkey on a unix socket. All it holds may be lost; the append-only file makes restarts smooth."""

    place: Place
    durable: bool = True
    name: str = "valkey"
    stop_signal: int = signal.SIGTERM
    _program: Path = field(init=False)

    def __post_init__(self) -> None:
        self._program = valkey_program(self.place)

    @property
    def data(self) -> Path:
        return self.place.servers / "valkey"

    @property
    def socket(self) -> Path:
        return self.place.sockets / "valkey"

    @property
    def url(self) -> str:
        return f"redis+socket://{quote(str(self.socket))}"

    @property
    def command(self) -> Sequence[str | Path]:
        return (
            *(self._program, "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"),
            *("--dir", self.data, "--pidfile", self.data / "valkey.pid", "--databases", "64"),
            *("--appendonly", "yes" if self.durable else "no", "--save", ""),
            *("--maxmemory-policy", "noeviction", "--loglevel", "warning"),
        )

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        if self.place.account:
            os.chown(self.data, self.place.account.uid, self.place.account.gid)
        _end_orphan(self.data / "valkey.pid", "valkey-server", self.data)
        self.socket.unlink(missing_ok=True)

    def answers(self) -> bool:
        return broker_answers(self.url)


def database_answers(url: str) -> bool:
    """Return whether PostgreSQL lets us in there."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.Error:
        return False
    return True


def broker_answers(url: str) -> bool:
    """Return whether Redis or Valkey answers there."""
    address = url.replace("redis+socket://", "unix://", 1)
    try:
        with redis.Redis.from_url(address, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except (redis.RedisError, ValueError):
        return False


def _write_for(place: Place, file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(text)
    if place.account:
        os.chown(file, place.account.uid, place.account.gid)


def _end_orphan(pid_file: Path, program: str, folder: Path) -> None:
    """Stop a server of ours that outlived its stack, and remove its pid file.

    The number in the file may by now belong to anybody (a restarted container reuses them), so it is only
    trusted when that process runs our program in our folder.
    """
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        ours = process.name() == program and Path(process.cwd()) == folder.resolve()
    except (OSError, ValueError, IndexError, psutil.Error):
        ours = False
    if ours:
        process.send_signal(signal.SIGINT if program == "postgres" else signal.SIGTERM)
        _, alive = psutil.wait_procs([process], timeout=15)
        for survivor in alive:
            survivor.kill()
            time.sleep(0.5)
    pid_file.unlink(missing_ok=True)
