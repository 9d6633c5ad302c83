"""Where people arrive, and the overview."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from portal.core.access import may
from portal.core.actor import actor_of
from portal.core.htmx import render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from portal.web.overview import overview as overview_of


@require_safe
@requires()
def landing(request: HttpRequest) -> HttpResponse:
    """Show the overview; take whoever repairs single runs but operates nothing (support) to the lookup."""
    actor = actor_of(request)
    if may(actor, Permission.RESUME_RUN) and not may(actor, Permission.DECIDE_STEP):
        return HttpResponseRedirect(reverse("lookup"), status=303)
    return _overview(request)


@require_safe
@requires()
def overview(request: HttpRequest) -> HttpResponse:
    """Show what is broken, what needs a person and what changed."""
    return _overview(request)


def _overview(request: HttpRequest) -> HttpResponse:
    context = {"overview": overview_of(actor_of(request))}
    return render_page(request, "web/overview.html", "web/_overview.html", context)
