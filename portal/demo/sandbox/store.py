"""The sandbox's durable memory: one SQLite file.

Write-ahead logging with ``synchronous=NORMAL`` loses nothing when the process is killed, because a
committed page is then already with the operating system. Only a power cut may cost the last transactions.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from portal.demo.sandbox.messages import JsonObject

_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, collection TEXT NOT NULL,
    operation_key TEXT NOT NULL, once_key TEXT, body TEXT NOT NULL, made_at TEXT NOT NULL,
    UNIQUE (collection, once_key));
CREATE INDEX IF NOT EXISTS record_by_key ON record (collection, operation_key);
CREATE INDEX IF NOT EXISTS record_by_time ON record (collection, made_at);
CREATE TABLE IF NOT EXISTS received (
    collection TEXT NOT NULL, operation_key TEXT NOT NULL, requests INTEGER NOT NULL, last_at TEXT NOT NULL,
    PRIMARY KEY (collection, operation_key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS received_by_time ON received (collection, last_at);
CREATE INDEX IF NOT EXISTS received_by_key ON received (operation_key);
CREATE TABLE IF NOT EXISTS fault (service TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """Something that the sandbox did."""

    id: str
    operation_key: str
    body: JsonObject
    made_at: str

    def as_json(self) -> JsonObject:
        """Return the record as it is sent."""
        return {"id": self.id, "operation_key": self.operation_key, **self.body, "made_at": self.made_at}


@dataclass(frozen=True, slots=True)
class PastRecord:
    """A record that was made elsewhere, with its id and time."""

    id: str
    collection: str
    operation_key: str
    once_key: str | None
    body: JsonObject
    made_at: str


@dataclass(frozen=True, slots=True)
class KeyCount:
    """How often one operation was asked for, and how often it was done."""

    operation_key: str
    requests: int
    effects: int
    last_at: str


class Store:
    """Records, request counts and faults. One connection, one writer at a time, safe from any thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; a checkpoint folds the log into it."""
        with self._lock:
            self._db.close()

    def count_request(self, collection: str, operation_key: str) -> None:
        """Note that ``operation_key`` was asked for once more, whatever comes of it."""
        with self._lock:
            self._db.execute(
                "INSERT INTO received VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE"
                " SET requests = requests + 1, last_at = excluded.last_at",
                (collection, operation_key, _now()),
            )

    def add(
        self, collection: str, operation_key: str, body: JsonObject, *, prefix: str, once_key: str | None
    ) -> tuple[Record, bool]:
        """Keep a record; return it with True, or with False the first one if ``once_key`` came before."""
        record = Record(f"{prefix}_{uuid.uuid4().hex[:20]}", operation_key, body, _now())
        with self._lock:
            cursor = self._db.execute(
                "INSERT INTO record (id, collection, operation_key, once_key, body, made_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (collection, once_key) DO NOTHING",
                (record.id, collection, operation_key, once_key, json.dumps(body), record.made_at),
            )
            if cursor.rowcount:
                return record, True
            return self._select("collection = ? AND once_key = ?", (collection, once_key))[0], False

    def add_past(self, records: Sequence[PastRecord]) -> int:
        """Keep records of the past, one request each, and return how many were not known before."""
        added = 0
        with self._lock, self._db:
            self._db.execute("BEGIN")
            for past in records:
                cursor = self._db.execute(
                    "INSERT OR IGNORE INTO record (id, collection, operation_key, once_key, body, made_at)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        past.id,
                        past.collection,
                        past.operation_key,
                        past.once_key,
                        json.dumps(past.body),
                        past.made_at,
                    ),
                )
                if cursor.rowcount:
                    added += 1
                    self._db.execute(
                        "INSERT INTO received VALUES (?, ?, 1, ?) ON CONFLICT DO UPDATE SET requests = requests + 1",
                        (past.collection, past.operation_key, past.made_at),
                    )
        return added

    def find(self, collection: str, record_id: str) -> Record | None:
        """Return one record by its id."""
        with self._lock:
            found = self._select("collection = ? AND id = ?", (collection, record_id))
        return found[0] if found else None

    def with_key(self, collection: str, operation_key: str) -> list[Record]:
        """Return what was done under one operation key, oldest first."""
        with self._lock:
            return self._select("collection = ? AND operation_key = ?", (collection, operation_key))

    def beginning_with(self, collection: str, beginning: str) -> list[Record]:
        """Return what was done under once-keys with this beginning, in their order."""
        with self._lock:
            return self._select(
                "collection = ? AND once_key >= ? AND once_key < ?",
                (collection, beginning, beginning + "\U0010ffff"),
                "once_key",
            )

    def requests_for(self, operation_key: str) -> int:
        """Return how often an operation was asked for, in all collections."""
        sql = "SELECT coalesce(sum(requests), 0) FROM received WHERE operation_key = ?"
        with self._lock:
            return int(self._db.execute(sql, (operation_key,)).fetchone()[0])

    def latest(self, collection: str, limit: int) -> list[Record]:
        """Return the newest records, newest first."""
        with self._lock:
            return self._select("collection = ?", (collection,), f"made_at DESC LIMIT {int(limit)}")

    def made_between(self, collection: str, since: str, until: str) -> list[Record]:
        """Return what was done in a span of time, ``until`` not included, oldest first."""
        with self._lock:
            return self._select(
                "collection = ? AND made_at >= ? AND made_at < ?", (collection, since, until), "made_at"
            )

    def total(self, collection: str) -> tuple[int, int, int]:
        """Return the numbers of requests, of effects, and of operation keys with more than one effect."""
        with self._lock:
            requests = self._db.execute(
                "SELECT coalesce(sum(requests), 0) FROM received WHERE collection = ?", (collection,)
            ).fetchone()[0]
            effects = self._db.execute(
                "SELECT coalesce(sum(n), 0), coalesce(sum(n > 1), 0) FROM (SELECT count(*) AS n FROM record"
                " WHERE collection = ? GROUP BY operation_key)",
                (collection,),
            ).fetchone()
        return requests, effects[0], effects[1]

    def key_counts(self, collection: str, limit: int) -> list[KeyCount]:
        """Return requests and effects by operation key, the latest asked for first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT operation_key, requests, (SELECT count(*) FROM record WHERE record.collection ="
                " received.collection AND record.operation_key = received.operation_key), last_at"
                " FROM received WHERE collection = ? ORDER BY last_at DESC LIMIT ?",
                (collection, limit),
            ).fetchall()
        return [KeyCount(*row) for row in rows]

    def faults(self) -> dict[str, JsonObject]:
        """Return the kept fault of each service that has one."""
        with self._lock:
            rows = self._db.execute("SELECT service, body FROM fault").fetchall()
        return {service: json.loads(body) for service, body in rows}

    def keep_fault(self, service: str, body: JsonObject) -> None:
        """Keep the fault of a service."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO fault VALUES (?, ?)", (service, json.dumps(body)))

    def _select(self, where: str, values: tuple[str | None, ...], order: str = "number") -> list[Record]:
        # ``where`` and ``order`` are literals of this module.
        sql = f"SELECT id, operation_key, body, made_at FROM record WHERE {where} ORDER BY {order}"  # noqa: S608
        load: Callable[[str], JsonObject] = json.loads
        return [Record(row[0], row[1], load(row[2]), row[3]) for row in self._db.execute(sql, values)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
