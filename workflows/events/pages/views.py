"""The pages of events: contracts, and what was emitted and never consumed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.core.actor import actor_of
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.events.pages.contracts import contract_list, contract_page


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def contract_list_page(request: HttpRequest) -> HttpResponse:
    """List the events, with who emits and who acts on each, and whether they understand each other."""
    return render(request, "events/contract_list.html", {"events": contract_list(actor_of(request))})


@require_safe
@requires(Permission.VIEW_WORKFLOW)
def contract_detail_page(request: HttpRequest, name: str) -> HttpResponse:
    """Show one event: what each version says, and who can read it."""
    return render(request, "events/contract.html", {"event": contract_page(actor_of(request), name)})
