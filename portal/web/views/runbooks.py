"""What to do when a workflow is in trouble."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.core.actor import actor_of
from portal.core.permissions import Permission
from portal.core.web import requires
from portal.web.runbooks import runbook


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def runbook_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a runbook."""
    return render(request, "web/runbook.html", {"runbook": runbook(actor_of(request), slug)})
