"""``manage.py doctor`` names what is wrong and how to mend it."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from tests.factories import make_heartbeat, make_run
from workflows.engine.state import RunStatus


def findings() -> dict[str, dict[str, object]]:
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("doctor", "--json", stdout=out)
    return {finding["name"]: finding for finding in json.loads(out.getvalue())}


@pytest.mark.django_db
def test_names_what_is_missing_and_the_remedy() -> None:
    make_run(status=RunStatus.QUEUED)
    found = findings()
    assert found["dispatcher"]["remedy"] == "Start one: `manage.py dispatcher`."
    assert not found["workers"]["ok"]
    assert "workflows" in str(found["queues"]["remedy"])


@pytest.mark.django_db
def test_what_is_well_is_said_too() -> None:
    make_heartbeat("worker")
    make_heartbeat("dispatcher")
    found = findings()
    assert all(found[name]["ok"] for name in ("python", "database", "broker", "clock", "migrations", "queues"))


@pytest.mark.django_db
def test_a_database_that_forgets_is_told() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    assert "synchronous_commit is off" in str(findings()["durability"]["detail"])
    assert not findings()["durability"]["ok"]


@pytest.mark.django_db
def test_uncollected_static_files_are_told(settings: Settings) -> None:
    settings.STATIC_ROOT = "/nonexistent"
    assert "collectstatic" in str(findings()["static files"]["remedy"])


@pytest.mark.django_db
def test_production_is_held_to_djangos_deployment_checks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_ALLOW_ASYNC_UNSAFE", raising=False)  # the browser tests set it; it would be told first
    settings.ENVIRONMENT = "production"
    assert "security.W" in str(findings()["configuration"]["detail"])
