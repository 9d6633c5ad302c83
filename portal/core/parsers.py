"""JSON in and out of the API. In: nothing that PostgreSQL cannot keep, and nothing endless."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

MAX_DEPTH = 50


class BodyTooLarge(APIException):
    """The body is larger than this server takes."""

    status_code = 413
    default_detail = "The body is larger than this server takes."
    default_code = "body-too-large"


class StrictJSONParser(JSONParser):
    """Parses JSON, and refuses text and numbers that a JSON column cannot hold."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {}).get("request")
        length = int(request.META.get("CONTENT_LENGTH") or 0) if request else 0
        if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise BodyTooLarge
        try:
            value = super().parse(stream, media_type, parser_context)
        except RecursionError as exc:
            raise ParseError("The JSON is nested too deeply.") from exc
        check_storable(value)
        return value


def check_storable(value: object, depth: int = 0) -> None:
    """Check a parsed value.

    :raises ParseError: for the character U+0000, half a surrogate pair, a number beyond a double's range, or
        more than 50 levels.
    """
    if depth > MAX_DEPTH:
        raise ParseError("The JSON is nested too deeply.")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ParseError("A number is out of range.")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _check_text(name)
            check_storable(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            check_storable(item, depth + 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ParseError("A text holds half a surrogate pair.") from exc
    if "\0" in text:
        raise ParseError("A text holds the character U+0000.")


class AlwaysJson(DefaultContentNegotiation):
    """Answers JSON whatever the ``Accept`` header says; there is nothing else (RFC 9110, 12.5.1 allows it)."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type
