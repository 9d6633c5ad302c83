"""What may be wrong with an installation, beyond what readiness asks, and how to mend it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.core import checks
from django.db import Error, connection

from portal.web.health import Check, broker_check, database_check, migrations_check, process_checks
from workflows.queries.installation import unpolled_queues, unregistered_workflows

OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRESQL = 140000
SKEW_SECONDS = 1.0


def examine() -> list[Check]:
    """Return every finding, good and bad, in the order in which to mend them."""
    database = database_check()
    findings = [python_check(), *configuration_checks(), database, broker_check()]
    if not database.ok:
        return [*findings, Check("database contents", False, "Cannot see: the database does not answer.")]
    findings += [*_seen("database", server_checks), *_seen("migrations", lambda: [migrations_check()])]
    if not findings[-1].ok:
        return [*findings, Check("processes", False, "Cannot see: the tables are not all there.")]
    findings += _seen("processes", process_checks)
    findings += _seen("queues", lambda: [queues_check()])
    findings += _seen("workflows", lambda: [workflows_check()])
    return [*findings, static_files_check()]


def python_check() -> Check:
    """See whether this Python is new enough."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", False, f"Python {version} is too old.", "Use Python 3.11 or newer.")
    return Check("python", True, f"Python {version}.")


def configuration_checks() -> list[Check]:
    """Run Django's own checks, those for deployment where this is one."""
    is_deployment = settings.ENVIRONMENT in {"staging", "production"}
    messages = [
        message
        for message in checks.run_checks(include_deployment_checks=is_deployment)
        if message.level >= checks.WARNING and not message.is_silenced()
    ]
    if not messages:
        return [Check("configuration", True, f"Complete, for {settings.ENVIRONMENT}.")]
    return [
        Check("configuration", False, f"{message.id}: {message.msg}", str(message.hint or "")) for message in messages
    ]


def server_checks() -> Iterator[Check]:
    """See what kind of database this is, whether it keeps what it confirms, and whether its clock is ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),"
            " current_setting('fsync'), current_setting('synchronous_commit'), current_setting('server_encoding')"
        )
        number, version, fsync, commit, encoding = cursor.fetchone()
        asked = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        theirs = float(cursor.fetchone()[0])
        ours = (asked + time.time()) / 2
    yield Check(
        "postgresql",
        number >= OLDEST_POSTGRESQL and encoding == "UTF8",
        f"PostgreSQL {version}, {encoding}.",
        "Use PostgreSQL 14 or newer with a database in UTF-8.",
    )
    yield Check(
        "durability",
        (fsync, commit == "off") == ("on", False),
        f"fsync is {fsync}, synchronous_commit is {commit}.",
        "Set both to on: a checkpoint that a crash takes back may be executed twice.",
    )
    yield Check(
        "clock",
        abs(theirs - ours) <= SKEW_SECONDS,
        f"The database's clock differs from this machine's by {abs(theirs - ours):.3f} s.",
        "Let both follow NTP: leases and timers are kept by these clocks.",
    )


def queues_check() -> Check:
    """See whether somebody works on every queue that has runs."""
    alone = unpolled_queues()
    if alone:
        return Check(
            "queues",
            False,
            f"Work waits in {', '.join(alone)}, and no worker takes from there.",
            f"Start one: `celery -A portal worker -Q {','.join(alone)}`.",
        )
    return Check("queues", True, "Every queue that holds something has a worker.")


def workflows_check() -> Check:
    """See whether the workflows of the code are those of the database."""
    missing = unregistered_workflows()
    if missing:
        return Check(
            "workflows",
            False,
            f"In the code, but not registered: {', '.join(missing)}.",
            "Run `manage.py prepare`.",
        )
    return Check("workflows", True, "Every workflow of the code is registered.")


def static_files_check() -> Check:
    """See whether the style sheets and scripts can be served."""
    if settings.STATIC_ROOT and not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
        return Check(
            "static files", False, "They have not been collected.", "Run `manage.py collectstatic --noinput`."
        )
    return Check("static files", True, "They can be served.")


def _seen(name: str, check: Callable[[], Iterable[Check]]) -> list[Check]:
    try:
        return list(check())
    except Error as exc:
        return [Check(name, False, f"Cannot see: {exc}")]
