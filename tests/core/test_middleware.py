"""The request's edges: ids in and out, errors as answers, nobody learns what they may not know."""

from __future__ import annotations

import pytest
from django.db import OperationalError
from django.test import Client

from portal.core.models import AuditEntry
from tests.personas import Personas

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.urls")]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HTMX = {"HX-Request": "true"}


def test_a_correlation_id_is_made_and_returned(client: Client) -> None:
    answer = client.get("/ids/")
    correlation_id = answer["X-Correlation-ID"]
    assert len(correlation_id) == 32
    assert answer.content.decode() == f"{correlation_id} {correlation_id}"


def test_a_callers_correlation_id_and_trace_are_kept(client: Client) -> None:
    traceparent = f"00-{TRACE}-00f067aa0ba902b7-01"
    both = client.get("/ids/", headers={"X-Correlation-ID": "order-17", "traceparent": traceparent})
    assert both["X-Correlation-ID"] == "order-17"
    assert both.content.decode() == f"order-17 {TRACE}"
    only_trace = client.get("/ids/", headers={"traceparent": traceparent})
    assert only_trace["X-Correlation-ID"] == TRACE


@pytest.mark.parametrize("bad", ["", "a b", "<script>", "x" * 129])
def test_a_malformed_correlation_id_is_replaced(client: Client, bad: str) -> None:
    assert client.get("/ids/", headers={"X-Correlation-ID": bad})["X-Correlation-ID"] != bad


def test_a_view_is_closed_to_those_without_its_right(personas: Personas) -> None:
    assert personas.client("operator").get("/guarded/").status_code == 200
    assert personas.client("team_operator").get("/guarded/x/").status_code == 200
    viewer = personas.client("viewer").get("/guarded/", headers=HTMX)
    assert viewer.status_code == 403
    assert b"retry_step" in viewer.content
    assert personas.client("outsider").get("/guarded/", headers=HTMX).status_code == 403
    assert personas.client("outsider").get("/guarded/x/", headers=HTMX).status_code == 404


def test_an_anonymous_reader_is_sent_to_the_login_page_and_back(client: Client) -> None:
    assert client.get("/guarded/?a=1")["Location"] == "/login/?next=/guarded/%3Fa%3D1"
    current = {**HTMX, "HX-Current-URL": "https://testserver/guarded/x/?tab=2"}
    answer = client.get("/guarded/", headers=current)
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/login/?next=%2Fguarded%2Fx%2F%3Ftab%3D2"


def test_our_errors_become_fragments_with_the_request_id(personas: Personas) -> None:
    client = personas.client("viewer")
    invalid = client.get("/wrong/invalid/", headers=HTMX)
    assert invalid.status_code == 422
    assert b"Say why." in invalid.content
    assert invalid["X-Correlation-ID"].encode() in invalid.content
    unavailable = client.get("/wrong/unavailable/", headers=HTMX)
    assert (unavailable.status_code, unavailable["Retry-After"]) == (503, "7")


def test_a_fault_shows_the_request_id_and_nothing_else(personas: Personas) -> None:
    client = personas.client("viewer")
    client.raise_request_exception = False
    answer = client.get("/wrong/fault/", headers=HTMX)
    assert answer.status_code == 500
    assert answer["X-Correlation-ID"].encode() in answer.content
    assert b"secret detail" not in answer.content


def test_a_refused_change_is_in_the_audit_trail_and_a_refused_read_is_not(personas: Personas) -> None:
    client = personas.client("viewer")
    client.get("/wrong/forbidden/", headers=HTMX)
    assert not AuditEntry.objects.filter(result="refused").exists()
    client.post("/wrong/forbidden/", headers={**HTMX, "X-Correlation-ID": "attempt-1"})
    entry = AuditEntry.objects.get(result="refused")
    assert (entry.actor_label, entry.object_label) == ("Viewer", "POST /wrong/forbidden/")
    assert (entry.correlation_id, entry.after) == ("attempt-1", {"permission": "retry_step"})


def test_an_error_page_keeps_the_navigation_and_names_the_request(personas: Personas) -> None:
    client = personas.client("viewer")
    client.raise_request_exception = False
    for path, status in (("/nowhere/", 404), ("/guarded/", 403), ("/wrong/fault/", 500)):
        answer = client.get(path)
        page = answer.content.decode()
        assert answer.status_code == status
        assert 'aria-label="Sections"' in page
        assert answer["X-Correlation-ID"] in page


def test_when_even_the_navigation_is_broken_there_is_still_a_page(
    personas: Personas, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = personas.client("viewer")
    client.raise_request_exception = False

    def fall(*args: object, **kwargs: object) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr("portal.web.shell.Shell.__init__", fall)
    answer = client.get("/wrong/fault/")
    assert answer.status_code == 500
    assert answer["X-Correlation-ID"] in answer.content.decode()
