"""One box for whoever is asked about one item."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.core.actor import actor_of
from portal.core.permissions import Permission
from portal.core.web import requires
from portal.web.lookup import LONGEST, look_up


@require_safe
@requires(Permission.VIEW_RUN)
def lookup(request: HttpRequest) -> HttpResponse:
    """Tell the story of the runs that go by ``?q=``. Looking is written to the audit trail."""
    finding = look_up(actor_of(request), request.GET.get("q", ""))
    return render(request, "web/lookup.html", {"finding": finding, "longest": LONGEST})
