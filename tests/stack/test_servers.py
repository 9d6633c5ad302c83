"""The servers that every other test stands on."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection


@pytest.mark.django_db
def test_the_database_is_a_recent_postgresql_in_utf8() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
        assert cursor.fetchone() >= (140000, "UTF8")


@pytest.mark.django_db
def test_the_portals_role_is_no_superuser() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)


def test_the_cache_answers() -> None:
    cache.set("stack", "here")
    assert cache.get("stack") == "here"
