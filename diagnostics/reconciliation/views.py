"""The pages of checks that compare two sources of truth."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from diagnostics.reconciliation.queries import check_detail, check_list
from diagnostics.reconciliation.services import request_reconciliation
from portal.core.actor import actor_of
from portal.core.errors import Conflict
from portal.core.htmx import go_to, render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.presentation import StateName


@require_safe
@requires(Permission.VIEW_RUN)
def reconciliations(request: HttpRequest) -> HttpResponse:
    """List all checks, those that differ first."""
    checks = check_list(actor_of(request))
    unwell = [view for view in checks if view.state.name in {StateName.FAILED, StateName.BLOCKED}]
    context = {"checks": checks, "unwell": unwell}
    return render_page(request, "reconciliation/list.html", "reconciliation/_list.html", context)


@require_safe
@requires(Permission.VIEW_RUN)
def reconciliation(request: HttpRequest, check: str) -> HttpResponse:
    """Show one check: what it found, since when, and how it went before."""
    detail = check_detail(actor_of(request), check)
    context = {"detail": detail, "view": detail.view}
    return render_page(request, "reconciliation/detail.html", "reconciliation/_detail.html", context)


@require_POST
@requires(Permission.START_RUN)
def compare(request: HttpRequest, check: str) -> HttpResponse:
    """Have the check carried out now."""
    try:
        request_reconciliation(actor=actor_of(request), name=check)
    except Conflict as exc:
        messages.info(request, exc.message)
    else:
        messages.success(request, "It is being compared. The result appears here.")
    return go_to(request, reverse("reconciliation-detail", args=[check]))
