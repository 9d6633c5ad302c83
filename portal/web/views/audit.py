"""The audit trail: the list, one entry, its export, and a check of the whole chain on demand."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from portal.core import audit, clock
from portal.core.access import may
from portal.core.actor import actor_of
from portal.core.export import as_csv, as_jsonl
from portal.core.filters import AuditFilter
from portal.core.htmx import go_to, render_page
from portal.core.models import AuditEntry
from portal.core.permissions import Permission
from portal.core.queries.audit import audit_entry, audit_page, chain_badge, recent_actions
from portal.core.web import requires
from portal.web.chips import active_filters
from portal.web.objects import object_url

LINKED = ("object_type", "object_id", "actor", "correlation_id")  # filters that only links set
FORMATS = {"csv": ("text/csv", as_csv), "jsonl": ("application/jsonl", as_jsonl)}


@require_safe
@requires(Permission.VIEW_AUDIT)
def audit_list(request: HttpRequest) -> HttpResponse:
    """The trail, newest first. The address holds every filter."""
    filters = AuditFilter(request.GET, queryset=AuditEntry.objects.all(), request=request)
    page = audit_page(filters.qs, before=request.GET.get("before", ""), after=request.GET.get("after", ""))
    context = {
        "form": filters.form,
        "kept": [filters.form[name] for name in LINKED if request.GET.get(name)],
        "chips": active_filters(filters.form, request.GET, request.path),
        "page": page,
        "rows": [(row, object_url(row.entry)) for row in page.rows],
        "actions": recent_actions(),
        "badge": chain_badge(),
        "may_export": may(actor_of(request), Permission.EXPORT_AUDIT),
    }
    return render_page(request, "audit/list.html", "audit/_list.html", context)


@require_safe
@requires(Permission.VIEW_AUDIT)
def audit_detail(request: HttpRequest, entry_id: UUID) -> HttpResponse:
    """One entry: the permalink."""
    row, is_intact = audit_entry(entry_id)
    context = {"row": row, "is_intact": is_intact, "object_url": object_url(row.entry)}
    return render(request, "audit/entry.html", context)


@require_POST
@requires(Permission.VIEW_AUDIT)
def audit_verify(request: HttpRequest) -> HttpResponse:
    """Check the whole chain now and keep the outcome."""
    report = audit.check_and_note()
    if report.ok:
        messages.success(request, f"The chain is intact: {report.entries} entries verified.")
    else:
        messages.error(request, f"The chain is broken at entry {report.broken_at}: {report.problem}.")
    return go_to(request, reverse("audit-list"))


@require_POST
@requires(Permission.EXPORT_AUDIT)
def audit_export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Hand out the filtered entries as a file. That somebody did is itself recorded."""
    kind = request.POST.get("format", "")
    content_type, lines = FORMATS.get(kind) or FORMATS["csv"]
    entries = AuditFilter(request.GET, queryset=AuditEntry.objects.all(), request=request).qs
    audit.record(
        actor=actor_of(request),
        action="core.audit.export",
        object_type="audit",
        object_label="Audit trail",
        after={"format": kind, "filter": request.GET.dict()},
    )
    name = f"audit-{clock.now():%Y%m%d-%H%M%S}.{'jsonl' if lines is as_jsonl else 'csv'}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(lines(entries), content_type=content_type, headers=headers)
