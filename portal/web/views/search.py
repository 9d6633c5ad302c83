"""One box for everything: a page of its own, and the list inside the palette."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from portal.core.actor import actor_of
from portal.core.htmx import render_page
from portal.core.web import requires
from portal.web.search import search_results
from portal.web.shell import Shell

MAXIMUM_LENGTH = 200


@require_safe
@requires()
def search(request: HttpRequest) -> HttpResponse:
    """Show what matches ``?q=``."""
    text = request.GET.get("q", "")[:MAXIMUM_LENGTH]
    groups = search_results(actor_of(request), Shell(request), text)
    context = {"text": text, "groups": groups, "count": sum(len(group.hits) for group in groups)}
    return render_page(request, "web/search.html", "web/_search.html", context)
