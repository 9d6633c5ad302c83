"""The API's edges: bearer tokens, the right that each view needs, errors as problem documents (RFC 9457)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from portal.core import clock
from portal.core.access import authorise, is_insider, may
from portal.core.actor import actor_of
from portal.core.errors import Forbidden, NotFound, PortalError
from portal.core.models import ApiToken, User
from portal.core.permissions import Permission
from portal.core.problem import CONTENT_TYPE, headers_of, problem, problem_of
from portal.core.services.refusals import record_refusal

if TYPE_CHECKING:  # rest_framework.views imports this module, by way of its settings
    from rest_framework.views import APIView

LAST_USED_PRECISION = timedelta(minutes=1)  # so that a busy token is not written on every call


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``, a token made on the page /access/tokens/."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return the owner and the token, or None if the request carries no bearer token."""
        scheme, _, secret = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        now = clock.now()
        token = (
            ApiToken.objects.select_related("owner")
            .filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None, owner__is_active=True)
            .filter(digest=hashlib.sha256(secret.strip()).digest())
            .first()
        )
        if token is None:
            raise exceptions.AuthenticationFailed("This token is unknown, revoked or expired.")
        if token.last_used_at is None or token.last_used_at < now - LAST_USED_PRECISION:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.owner, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasRequiredRight(BasePermission):
    """Lets in who holds the view's ``required_permission`` somewhere: one right, or one per HTTP method.

    Whether they hold it on the object at hand is checked by the query or service that loads it.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user.is_authenticated:
            return False
        wanted: Permission | Mapping[str, Permission] | None = view.required_permission  # type: ignore[attr-defined]
        permission = wanted.get(str(request.method)) if isinstance(wanted, Mapping) else wanted
        actor = actor_of(request)
        if permission is not None and not may(actor, permission):
            if view.kwargs and not is_insider(actor):
                raise NotFound
            authorise(actor, permission)
        return True


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return ``exc`` as application/problem+json; None for what is a fault of ours (REST framework's handler)."""
    request: Request = context["request"]
    if isinstance(exc, Http404):
        exc = NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = Forbidden()
    if isinstance(exc, PortalError):
        if isinstance(exc, Forbidden) and request.method not in ("GET", "HEAD", "OPTIONS"):
            record_refusal(request, exc)
        document, headers, status = problem_of(exc, request.path), headers_of(exc), exc.http_status
    elif isinstance(exc, exceptions.APIException):
        document, headers = _foreign_problem(exc, request.path), _foreign_headers(exc)
        status = int(str(document["status"]))
    else:
        return None
    return Response(document, status=status, headers=headers, content_type=CONTENT_TYPE)


def _foreign_problem(exc: exceptions.APIException, instance: str) -> dict[str, Any]:
    if isinstance(exc, exceptions.ValidationError):
        errors = _messages(exc.detail)
        return problem(422, "invalid-input", "The input is not valid.", instance, errors)
    code = str(exc.default_code).replace("_", "-")
    return problem(exc.status_code, code, str(exc.detail), instance)


def _foreign_headers(exc: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(exc, "auth_header", ""):
        headers["WWW-Authenticate"] = auth_header
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(int(wait))
    return headers


def _messages(detail: object, path: str = "") -> dict[str, list[str]]:
    """Flatten REST framework's nested details to messages by dotted path."""
    if isinstance(detail, Mapping):
        nested = [_messages(item, f"{path}.{key}" if path else str(key)) for key, item in detail.items()]
    elif isinstance(detail, list) and any(isinstance(item, (Mapping, list)) for item in detail):
        nested = [_messages(item, f"{path}.{index}") for index, item in enumerate(detail)]
    else:
        items = detail if isinstance(detail, list) else [detail]
        return {path or "non_field_errors": [str(item) for item in items]} if items else {}
    return {key: messages for part in nested for key, messages in part.items()}
