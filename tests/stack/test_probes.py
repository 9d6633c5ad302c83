"""What monitoring and load balancers see."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from tests.factories import make_heartbeat, make_run
from workflows.engine.state import RunStatus, StepStatus


@pytest.fixture
def _no_database() -> Iterator[None]:
    """Point the connection at a folder without a server."""
    connection.close()
    host, connection.settings_dict["HOST"] = connection.settings_dict["HOST"], "/nonexistent"
    yield
    connection.close()
    connection.settings_dict["HOST"] = host


@pytest.mark.django_db
def test_ready_when_everything_is_there(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_heartbeat("worker")
    make_heartbeat("dispatcher")
    client.get("/readyz")
    with django_assert_max_num_queries(10):
        response = client.get("/readyz")
    assert response.status_code == 200
    assert set(response.json()["checks"]) == {"database", "broker", "migrations", "dispatcher", "workers"}


@pytest.mark.django_db
def test_not_ready_without_a_dispatcher_and_says_since_when(client: Client) -> None:
    make_heartbeat("worker")
    make_heartbeat("dispatcher", age_seconds=600)
    response = client.get("/readyz")
    dispatcher = response.json()["checks"]["dispatcher"]
    assert response.status_code == 503
    assert not dispatcher["ok"]
    assert "last heard" in dispatcher["detail"]


@pytest.mark.django_db
def test_not_ready_without_a_broker(client: Client, settings: Settings) -> None:
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": "unix:///nonexistent"}}
    response = client.get("/readyz")
    assert response.status_code == 503
    assert not response.json()["checks"]["broker"]["ok"]
    assert response.json()["checks"]["database"]["ok"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_no_database")
def test_without_a_database_it_lives_but_is_not_ready(client: Client) -> None:
    assert client.get("/livez").status_code == 200
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["workers"]["detail"] == "Cannot see: the database does not answer."
    assert client.get("/metrics").status_code == 503


@pytest.mark.django_db
def test_metrics_count_runs_that_need_somebody(
    client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_run(status=RunStatus.FAILED, step_status=StepStatus.FAILED)
    make_heartbeat("worker", age_seconds=5)
    with django_assert_max_num_queries(11):
        text = client.get("/metrics").content.decode()
    assert 'evenkeel_runs{status="failed"' in text
    assert 'evenkeel_heartbeat_age_seconds{kind="worker"} ' in text


@pytest.mark.django_db
def test_metrics_ask_for_the_token(client: Client, settings: Settings) -> None:
    settings.METRICS_TOKEN = "correct horse"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer correct horse"}).status_code == 200


def test_metrics_without_a_token_stay_closed_in_production(client: Client, settings: Settings) -> None:
    settings.ENVIRONMENT = "production"
    assert client.get("/metrics").status_code == 401
