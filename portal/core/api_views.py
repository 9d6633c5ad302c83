"""What the API's views have in common: rights, idempotency, paging, and no mistake that goes unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, ClassVar

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.exceptions import NotFound as UnknownCursor
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.core.actor import Actor, actor_of
from portal.core.api import HasRequiredRight
from portal.core.errors import InvalidInput
from portal.core.idempotency import Answer, answer_once, checked_key, fingerprint
from portal.core.permissions import Permission


class GuardedView(APIView):
    """A view for those who hold ``required_permission`` somewhere.

    The service or query that does the work checks it again on the object at hand. ``operation`` and ``summary``
    are its names in the API's description, its docstring the explanation.
    """

    operation: ClassVar[str]
    summary: ClassVar[str]

    permission_classes = (IsAuthenticated, HasRequiredRight)
    required_permission: ClassVar[Permission]

    @property
    def actor(self) -> Actor:
        """Who makes this request."""
        return actor_of(self.request)


class ActionView(GuardedView):
    """A POST that acts once per Idempotency-Key."""

    def once(self, request: Request, act: Callable[[], Answer]) -> Response:
        """Answer with what ``act`` returns, or with what it returned to the same key before."""
        key = checked_key(request.headers.get("Idempotency-Key"))
        if key is None:
            return answered(act())
        asked = fingerprint(request.method or "", request.path, request.data)
        return answered(answer_once(actor_id=f"{self.actor.kind}:{self.actor.id}", key=key, request=asked, act=act))


def answered(answer: Answer) -> Response:
    """Return an answer as a response; a replayed one says so."""
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else None
    return Response(answer.body, status=answer.status_code, headers=headers)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a mistyped ``to_step`` must not roll back the whole run."""

    is_strict = True  # read by portal.core.openapi

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values."""
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        if unknown:
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


def check_parameters(request: Request, known: Collection[str]) -> None:
    """Check that a query string holds known parameters only: a mistyped filter must not list everything.

    :raises InvalidInput: naming those that are not known, or that hold U+0000.
    """
    unknown = {name: ["There is no such parameter."] for name in request.query_params if name not in known}
    unstorable = {
        name: ["This holds the character U+0000."]
        for name, values in request.query_params.lists()
        if any("\0" in value for value in values)
    }
    if unknown or unstorable:
        raise InvalidInput("The query is not valid.", fields=unknown | unstorable)


class CursorPages(CursorPagination):
    """Pages that neither repeat nor skip rows while new ones arrive. Follow ``next`` and ``previous``."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    parameters = frozenset({"cursor", "page_size"})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe the parameters."""
        size = {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return [
            {
                "name": "cursor",
                "in": "query",
                "schema": {"type": "string"},
                "description": "From `next` or `previous`.",
            },
            {"name": "page_size", "in": "query", "schema": size, "description": "Rows on a page."},
        ]

    def get_page_size(self, request: Request) -> int:
        """Return how many rows a page has.

        :raises InvalidInput: when what is asked for is not a number from 1 to 200.
        """
        asked = request.query_params.get(self.page_size_query_param, str(self.page_size))
        if asked.isdecimal() and asked.isascii() and len(asked) < 4 and 1 <= int(asked) <= self.max_page_size:
            return int(asked)
        message = f"Use a number from 1 to {self.max_page_size}."
        raise InvalidInput("The query is not valid.", fields={self.page_size_query_param: [message]})

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any] | None:
        """Return one page.

        :raises InvalidInput: when the cursor is not one that this list has given out.
        """
        try:
            return super().paginate_queryset(queryset, request, view)
        except (DjangoValidationError, ValueError, UnknownCursor) as exc:
            raise InvalidInput("The query is not valid.", fields={"cursor": ["Not a cursor of this list."]}) from exc


class GuardedList(GuardedView, ListAPIView):
    """A list that answers a mistyped parameter with an error instead of with everything."""

    pagination_class: type[CursorPages]
    filter_backends = (DjangoFilterBackend,)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return one page."""
        filters = getattr(self, "filterset_class", None)
        check_parameters(request, CursorPages.parameters.union(filters.base_filters if filters else ()))
        return super().list(request, *args, **kwargs)
