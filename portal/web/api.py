"""The API's own pages, and the audit trail."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from portal.core.api_views import CursorPages, GuardedList
from portal.core.errors import NotFound
from portal.core.filters import AuditFilter
from portal.core.models import AuditEntry
from portal.core.openapi import openapi
from portal.core.permissions import Permission
from portal.core.web import requires
from portal.web.api_reference import api_reference


class AuditSerializer(serializers.Serializer[AuditEntry]):
    """One act of a person or an automation."""

    id = serializers.UUIDField()
    sequence = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor_kind = serializers.CharField(help_text="`person`, `token` or `system`.")
    actor_id = serializers.CharField()
    actor_label = serializers.CharField()
    action = serializers.CharField(help_text="As `app.noun.verb`.")
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    object_label = serializers.CharField()
    result = serializers.ChoiceField(choices=AuditEntry.Result.choices)
    reason = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField(allow_null=True)
    correlation_id = serializers.CharField()
    origin = serializers.CharField()
    digest = serializers.SerializerMethodField(help_text="Seals this entry and, through it, all before.")

    def get_digest(self, entry: AuditEntry) -> str:
        """Return the digest in hex."""
        return bytes(entry.digest).hex()


class BySequence(CursorPages):
    """The latest first."""

    ordering = "-sequence"


class AuditList(GuardedList):
    """Who did what, when, to what and why; the latest first."""

    operation = "list_audit_entries"
    summary = "Read the audit trail"
    required_permission = Permission.VIEW_AUDIT
    queryset = AuditEntry.objects.all()  # whoever may read the trail may read all of it
    serializer_class = AuditSerializer
    pagination_class = BySequence
    filterset_class = AuditFilter


class SchemaView(APIView):
    """The description of this API, as OpenAPI 3."""

    permission_classes = (IsAuthenticated,)
    required_permission = None

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """Return the description; the same for everybody."""
        return Response(openapi(), content_type="application/vnd.oai.openapi+json")


@require_safe
@requires()
def reference(request: HttpRequest) -> HttpResponse:
    """Show the API's reference."""
    return render(request, "web/api_reference.html", {"reference": api_reference()})


@csrf_exempt
@login_not_required
def no_such_address(request: HttpRequest, rest: str) -> HttpResponse:
    """Answer for every other address of the API, whatever the method."""
    raise NotFound("The API has no such address. All of them end with a slash.")
