"""The items of one step of a run."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from portal.core.actor import actor_of
from portal.core.htmx import render_page
from portal.core.permissions import Permission
from portal.core.web import requires
from workflows.queries.items import item_page


@require_safe
@requires(Permission.VIEW_RUN)
def run_items(request: HttpRequest, run_id: UUID, step: str) -> HttpResponse:
    """The items of a fan-out, a page at a time, and one of them in full; for htmx the list alone."""
    page = item_page(
        actor_of(request),
        run_id,
        step,
        view=request.GET.get("view", ""),
        before=request.GET.get("before", ""),
        after=request.GET.get("after", ""),
        chosen=request.GET.get("item", ""),
    )
    return render_page(request, "workflows/run_items.html", "workflows/_items.html", {"page": page, "run": page.run})
