"""Pages that answer htmx with their fragment, and the events that tell other tiles to refresh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.http import trigger_client_event

R = TypeVar("R", bound=HttpResponseBase)


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of the page, not for a navigation or a restored history entry."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
        and headers.get("HX-Request-Type") != "full"
    )


def render_page(
    request: HttpRequest,
    page_template: str,
    fragment_template: str,
    context: Mapping[str, object] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """Render the page, or for htmx only its fragment (which the page includes) from the same address."""
    template = fragment_template if wants_fragment(request) else page_template
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def go_to(request: HttpRequest, url: str) -> HttpResponse:
    """Send the browser to ``url`` after a POST: 303, or for a form that script sent, HX-Redirect."""
    if wants_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url, status=303)


def changed(response: R, *names: str) -> R:
    """Tell the page that these things changed (such as ``run-changed:<id>``), so that tiles refetch."""
    for name in names:
        trigger_client_event(response, name)
    return response
