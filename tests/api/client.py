"""A caller of the API with a bearer token."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.test import Client

from portal.core.models import ApiToken, User
from portal.core.permissions import Permission

PREFIX = "/api/v1"


def make_token(owner: User, *scopes: Permission, **fields: Any) -> str:
    """Return a token of ``owner`` that may do all they may do, or only what ``scopes`` say."""
    secret = secrets.token_urlsafe(24)
    ApiToken.objects.create(
        owner=owner,
        name="Billing system",
        prefix=secret[:8],
        digest=hashlib.sha256(secret.encode()).digest(),
        scopes=[scope.value for scope in scopes or Permission],
        **fields,
    )
    return secret


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, JSON, headers."""

    status: int
    json: Any
    headers: Mapping[str, str]

    @property
    def problem(self) -> tuple[int, str]:
        """The status and code of a problem document."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == self.status
        return self.status, self.json["code"]


class Api:
    """Calls the API as the owner of a fresh token, or as nobody."""

    def __init__(self, owner: User | None = None, *scopes: Permission) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {make_token(owner, *scopes)}"} if owner else {}

    def get(self, path: str, query: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        """GET an address below /api/v1, or one that an answer has named in full."""
        address = path if "://" in path else PREFIX + path
        return self.call("get", address, query, headers)

    def post(self, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        """POST JSON to an address below /api/v1, with an Idempotency-Key if given."""
        keyed = {"Idempotency-Key": key} if key is not None else {}
        return self.call("post", PREFIX + path, body or {}, {**keyed, **headers}, content_type="application/json")

    def call(
        self, method: str, path: str, data: Any = None, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """Make any request."""
        response = getattr(self.client, method)(path, data, headers={**self.headers, **(headers or {})}, **options)
        is_json = "json" in response.headers.get("Content-Type", "")
        return Answer(response.status_code, response.json() if is_json else None, response.headers)
