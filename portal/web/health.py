"""Whether the parts that the portal stands on are there, in words that say how to mend it.

Used by /readyz and `manage.py doctor`. What cannot be seen is not called healthy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import redis
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from workflows.queries.fleet import fleet

BROKER_SECONDS = 2
STATEMENT_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``remedy`` is empty when there is nothing to mend."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def readiness() -> list[Check]:
    """Return what must be true before this portal takes work; a handful of short queries."""
    database = database_check()
    unseen = "the database does not answer"
    if database.ok:
        try:
            with short_statements():
                return [database, broker_check(), migrations_check(), *process_checks()]
        except Error as exc:
            unseen = _first_line(exc)
    names = ("migrations", "dispatcher", "workers")
    return [database, broker_check(), *(Check(name, False, f"Cannot see: {unseen}.") for name in names)]


@contextmanager
def short_statements() -> Iterator[None]:
    """Give up on statements that take long: a probe must not pile up behind a busy database."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
        yield


def database_check() -> Check:
    """See whether the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as exc:
        return Check(
            "database",
            False,
            f"The database does not answer: {_first_line(exc)}.",
            "Start it (`make run` brings its own), or correct DATABASE_URL.",
        )
    return Check("database", True, "The database answers.")


def broker_check() -> Check:
    """See whether the broker answers."""
    options = {"socket_timeout": BROKER_SECONDS, "socket_connect_timeout": BROKER_SECONDS}
    try:
        with redis.Redis.from_url(settings.CACHES["default"]["LOCATION"], **options) as client:
            client.ping()
    except redis.RedisError as exc:
        return Check(
            "broker",
            False,
            f"Redis does not answer: {exc}",
            "Start it, or correct REDIS_URL. Runs are accepted meanwhile and go on when it is back.",
        )
    return Check("broker", True, "Redis answers.")


_migrated = False


def migrations_check() -> Check:
    """See whether this code's migrations have run. Once they have, that holds for the life of this process."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in missing[:3])
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            return Check("migrations", False, f"Not applied: {names}{more}.", "Run `manage.py prepare`.")
        _migrated = True
    return Check("migrations", True, "All migrations are applied.")


def process_checks() -> list[Check]:
    """See whether a dispatcher and a worker were heard lately. One query."""
    now = fleet()
    return [
        _heard("dispatcher", now.has_dispatcher, now.dispatcher_at, "Start one: `manage.py dispatcher`."),
        _heard("workers", now.has_worker, now.worker_at, "Start one: `celery -A portal worker`."),
    ]


def _heard(name: str, is_alive: bool, last: datetime | None, remedy: str) -> Check:
    when = f"last heard {last:%Y-%m-%d %H:%M:%S} UTC" if last else "never heard of"
    return Check(name, True, f"Alive, {when}.") if is_alive else Check(name, False, f"Silent, {when}.", remedy)


def _first_line(exc: Exception) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0].rstrip(".")
