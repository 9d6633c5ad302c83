from __future__ import annotations

from datetime import timedelta

import pytest

from portal.core.clock import now
from portal.core.models import ApiToken
from tests.api.client import PREFIX, Api, make_token
from tests.personas import Personas

pytestmark = pytest.mark.django_db
START = f"{PREFIX}/workflows/settle-invoice/runs/"


def test_who_is_not_signed_in_is_told_how(personas: Personas) -> None:
    answer = Api().get("/runs/")
    assert answer.problem == (401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_tokens_that_are_unknown_revoked_or_expired_are_refused(personas: Personas) -> None:
    revoked = make_token(personas.viewer, revoked_at=now())
    expired = make_token(personas.viewer, expires_at=now() - timedelta(seconds=1))
    for token in ("unknown", revoked, expired):
        answer = Api().get("/runs/", headers={"Authorization": f"Bearer {token}"})
        assert answer.problem == (401, "authentication-failed")
    assert ApiToken.objects.exclude(last_used_at=None).count() == 0


@pytest.mark.parametrize("path", ["/", "/nothing/", "/runs", "/runs/no-uuid/", "/runs//", "/workflows/a/b/c/"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_unknown_addresses_answer_with_a_problem(personas: Personas, method: str, path: str) -> None:
    assert Api(personas.viewer).call(method, PREFIX + path).problem == (404, "not-found")


def test_other_methods_are_refused_and_named(personas: Personas) -> None:
    api = Api(personas.viewer)
    answer = api.call("put", f"{PREFIX}/runs/", "{}", content_type="application/json")
    assert answer.problem == (405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("body", "content_type", "problem"),
    [
        ("{", "application/json", (400, "parse-error")),
        ('{"input": NaN}', "application/json", (400, "parse-error")),
        (r'{"input": {"a": "\u0000"}}', "application/json", (400, "parse-error")),
        ("[]", "application/json", (422, "invalid-input")),
        ("3", "application/json", (422, "invalid-input")),
        ("null", "application/json", (422, "invalid-input")),
        ("a=1", "application/x-www-form-urlencoded", (415, "unsupported-media-type")),
        ("<a/>", "application/xml", (415, "unsupported-media-type")),
    ],
)
def test_bodies_that_are_no_input(personas: Personas, body: str, content_type: str, problem: tuple[int, str]) -> None:
    api = Api(personas.support)
    assert api.call("post", START, body, content_type=content_type).problem == problem


def test_json_is_answered_whatever_is_accepted(personas: Personas) -> None:
    answer = Api(personas.viewer).get("/runs/", headers={"Accept": "text/html"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


def test_the_correlation_id_comes_back_also_with_a_problem(personas: Personas) -> None:
    for api in (Api(personas.viewer), Api()):
        answer = api.get("/runs/", headers={"X-Correlation-ID": "billing-4711"})
        assert answer.headers["X-Correlation-ID"] == "billing-4711"
    assert answer.json["correlation_id"] == "billing-4711"


def test_a_correlation_id_is_made_where_none_is_sent(personas: Personas) -> None:
    api = Api(personas.viewer)
    made = {api.get("/runs/").headers["X-Correlation-ID"] for _ in range(2)}
    assert len(made) == 2
