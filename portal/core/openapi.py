"""How the API describes itself (OpenAPI 3), and what every operation has in common."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_doc
from drf_spectacular.utils import Direction, OpenApiParameter
from rest_framework import serializers

from portal.core.correlation import HEADER
from portal.core.idempotency import KEPT_FOR, MAX_KEY_LENGTH

PROBLEM_TYPE = "application/problem+json"
_ALWAYS = {401: "Not signed in, or the token is not valid", 403: "The right for this is missing"}
_OF_AN_OBJECT = {404: "There is no such thing, or none that you may see"}
_OF_A_QUERY = {422: "A parameter or field is not valid"}
_OF_A_POST = {
    400: "The body is not JSON",
    409: "Not possible in the present state",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "A parameter or field is not valid",
}
_CORRELATION = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="Ties this request to what it causes. 1 to 128 of `A-Z a-z 0-9 . _ : -`; made if absent.",
)
_CORRELATION_ANSWER = OpenApiParameter(
    HEADER, str, OpenApiParameter.HEADER, response=True, description="The correlation id in force."
)
_IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_LENGTH, "pattern": r"^[!-~]+$"},
    OpenApiParameter.HEADER,
    description=(
        f"Makes it safe to send this request again: within {KEPT_FOR.total_seconds() / 3600:.0f} hours the same "
        "key with the same body gets the first answer and does nothing. Starting a run keeps its key for ever."
    ),
)


class ProblemSerializer(serializers.Serializer[Any]):
    """An error, as RFC 9457 has it."""

    type = serializers.CharField(help_text="A URI reference that names the kind of problem.")
    title = serializers.CharField(help_text="The kind of problem in words.")
    status = serializers.IntegerField(help_text="The HTTP status.")
    detail = serializers.CharField(help_text="What is wrong here, and where there is one, the way out.")
    code = serializers.CharField(help_text="The kind of problem for programs, such as `stale-version`.")
    instance = serializers.CharField(help_text="The address that was asked.")
    correlation_id = serializers.CharField(help_text="Quote this when you ask for help.")
    errors = serializers.DictField(  # type: ignore[assignment]  # Serializer has a property of this name
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="Messages by field of the body or by parameter.",
    )


class Schema(AutoSchema):
    """Adds to each operation its headers and the problems that it may answer with."""

    def get_operation_id(self) -> str:
        """Return the view's own name for it, or the framework's."""
        return str(getattr(self.view, "operation", "")) or super().get_operation_id()

    def get_summary(self) -> str | None:
        """Return what the view says in a few words."""
        return getattr(self.view, "summary", None)

    def get_description(self) -> str:  # type: ignore[override]  # as in AutoSchema
        """Return the view's docstring: methods document the code, not the operation."""
        return get_doc(type(self.view))

    def get_request_serializer(self) -> Any:
        """Return what a command takes."""
        return getattr(self.view, "body_class", None) or super().get_request_serializer()

    def get_override_parameters(self) -> list[Any]:
        """Add the headers that every operation, and every POST, understands."""
        common = [_CORRELATION, _CORRELATION_ANSWER]
        return [*super().get_override_parameters(), *common, *([_IDEMPOTENCY] if self.method == "POST" else [])]

    def _map_basic_serializer(self, serializer: Any, direction: Direction) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        return schema | ({"additionalProperties": False} if getattr(serializer, "is_strict", False) else {})

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        responses: dict[str, Any] = super()._get_response_bodies(direction)
        problem = self.resolve_serializer(ProblemSerializer, direction).ref
        for status, words in self._problems().items():
            responses.setdefault(str(status), {"description": words, "content": {PROBLEM_TYPE: {"schema": problem}}})
        return dict(sorted(responses.items()))

    def _problems(self) -> dict[int, str]:
        return (
            _ALWAYS
            | (_OF_AN_OBJECT if "{" in self.path else {})
            | (_OF_A_POST if self.method == "POST" else _OF_A_QUERY)
        )


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes the API tokens of /access/."""

    target_class = "portal.core.api.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "description": "An API token, made on the page Tokens."}


@cache
def openapi() -> dict[str, Any]:
    """Return the whole description, made once in each process."""
    schema: dict[str, Any] = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return schema
