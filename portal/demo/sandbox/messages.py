"""What comes in, what goes out, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

JsonObject = dict[str, object]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, read completely."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""

    def json(self) -> JsonObject:
        """Return the body as a JSON object.

        :raises Problem: 400 if it is anything else.
        """
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as exc:
            raise Problem(400, "body-not-json", "The body is not valid JSON.") from exc
        if not isinstance(value, dict):
            raise Problem(400, "body-not-object", "The body must be a JSON object.")
        return value


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class Problem(Exception):
    """A request that cannot be served, told as a problem document (RFC 9457)."""

    def __init__(self, status: int, code: str, detail: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.errors = status, code, detail, errors

    def reply(self, headers: Mapping[str, str] | None = None) -> Reply:
        """Return the answer that says it."""
        body: JsonObject = {
            "type": f"urn:problem:{self.code}",
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = dict(self.errors)
        return Reply(self.status, body, headers or {}, "application/problem+json")
