"""Bearer tokens, and errors as problem documents (RFC 9457)."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from django.test import Client

from portal.core.clock import now
from portal.core.models import ApiToken, AuditEntry, User
from portal.core.permissions import Permission
from tests.personas import Personas

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.urls")]
SECRET = "evk_test"


def make_token(owner: User, *scopes: Permission, **fields: object) -> ApiToken:
    digest = hashlib.sha256(SECRET.encode()).digest()
    return ApiToken.objects.create(
        owner=owner, name="ci", prefix=SECRET, digest=digest, scopes=list(scopes), **fields
    )


def call(method: str = "get", path: str = "/api/v1/guarded/", secret: str = SECRET) -> Any:
    return getattr(Client(), method)(path, headers={"Authorization": f"Bearer {secret}"})


def test_a_token_acts_as_its_owner(personas: Personas) -> None:
    token = make_token(personas.viewer, Permission.VIEW_RUN)
    answer = call().json()
    assert answer == {"actor": "Viewer with token ci", "kind": "token", "origin": "api 127.0.0.1"}
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_a_token_reaches_no_further_than_its_scopes(personas: Personas) -> None:
    make_token(personas.operator, Permission.VIEW_RUN)
    answer = call("post")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    refused = AuditEntry.objects.get(result="refused")
    assert (refused.actor_kind, refused.actor_label) == ("token", "Operator with token ci")


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": now() - timedelta(seconds=1)},
        {"revoked_at": now()},
    ],
    ids=["expired", "revoked"],
)
def test_a_dead_token_opens_nothing(personas: Personas, fields: dict[str, object]) -> None:
    make_token(personas.operator, Permission.VIEW_RUN, **fields)
    assert call().status_code == 401


def test_a_token_dies_with_its_owners_account(personas: Personas) -> None:
    make_token(personas.operator, Permission.VIEW_RUN)
    User.objects.filter(pk=personas.operator.pk).update(is_active=False)
    assert call().status_code == 401


@pytest.mark.parametrize("secret", ["", "wrong", "\xff"])
def test_an_unknown_token_is_told_so(personas: Personas, secret: str) -> None:
    answer = call(secret=secret)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["code"] == "authentication-failed"


def test_a_problem_names_the_fields_and_the_request(personas: Personas) -> None:
    make_token(personas.operator, *Permission)
    answer = call("post")
    document = answer.json()
    assert document == {
        "type": "urn:evenkeel:problem:invalid-input",
        "title": HTTPStatus(422).phrase,  # Python 3.13 has another one
        "status": 422,
        "detail": "The input is not valid.",
        "code": "invalid-input",
        "instance": "/api/v1/guarded/",
        "correlation_id": answer["X-Correlation-ID"],
        "errors": {"amount": ["Must be positive."]},
    }


def test_an_outsider_cannot_tell_what_exists(personas: Personas) -> None:
    make_token(personas.outsider, *Permission)
    assert call(path="/api/v1/guarded/").status_code == 403
    assert call(path="/api/v1/guarded/x/").status_code == 404


def test_wrong_addresses_and_methods_are_problems_too(personas: Personas) -> None:
    make_token(personas.admin, *Permission)
    nowhere, patch = call(path="/api/v1/nowhere/"), call("patch")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not-found")
    assert (patch.status_code, patch.json()["code"]) == (405, "method-not-allowed")
