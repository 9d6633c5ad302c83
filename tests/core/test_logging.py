"""Every log line says to which piece of work it belongs, and no line gives a secret away."""

from __future__ import annotations

import logging

import pytest
import structlog
from django.test import Client

from portal.core.correlation import correlated
from tests.log_lines import Lines
from tests.personas import Personas


@pytest.mark.urls("tests.core.urls")
def test_lines_of_a_request_carry_its_id_and_its_user(personas: Personas, lines: Lines) -> None:
    personas.client("operator").get("/guarded/", headers={"X-Correlation-ID": "order-17"})
    inside, request = lines.read_all()
    assert inside["event"] == "inside"
    assert (request["event"], request["path"], request["status"]) == ("request", "/guarded/", 200)
    assert {line["correlation_id"] for line in (inside, request)} == {"order-17"}
    assert {line["user"] for line in (inside, request)} == {"operator"}


@pytest.mark.django_db
@pytest.mark.urls("tests.core.urls")
def test_the_next_request_of_a_thread_does_not_inherit_the_user(personas: Personas, lines: Lines) -> None:
    personas.client("operator").get("/guarded/")
    Client().get("/ids/")
    assert "user" not in lines.read_all()[-1]


@pytest.mark.urls("tests.core.urls")
def test_polls_of_live_regions_are_not_logged(personas: Personas, lines: Lines) -> None:
    personas.client("operator").get("/guarded/", headers={"HX-Request": "true"})
    assert [line["event"] for line in lines.read_all()] == ["inside"]


@pytest.mark.django_db
@pytest.mark.urls("tests.core.urls")
def test_secrets_are_hidden(client: Client, lines: Lines) -> None:
    client.get("/ids/")
    seen = lines.read_all()[0]
    assert seen["password"] == "[hidden]"
    assert seen["url"] == "redis://me:[hidden]@host/0"


def test_a_workers_lines_carry_what_is_bound_also_through_the_standard_library(lines: Lines) -> None:
    with correlated("order-17"), structlog.contextvars.bound_contextvars(run_id="run-1"):
        try:
            raise ConnectionError("postgresql://me:hunter2@host/db does not answer")
        except ConnectionError:
            logging.getLogger("celery.worker").exception("lost %s", "the broker", extra={"api_key": "k"})
    (line,) = lines.read_all()
    assert (line["event"], line["logger"], line["level"]) == ("lost the broker", "celery.worker", "error")
    assert (line["correlation_id"], line["run_id"], line["api_key"]) == ("order-17", "run-1", "[hidden]")
    assert "ConnectionError" in str(line["exception"])
    assert "hunter2" not in str(line["exception"])
