"""The switches of the top bar. They work as plain forms; with script they take effect at once."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from portal.core.htmx import wants_fragment
from portal.core.models import User
from portal.core.services.preferences import change_preferences
from portal.core.web import requires


@require_POST
@requires()
def set_theme(request: HttpRequest) -> HttpResponse:
    """Keep the theme on the account and go back to the page."""
    change_preferences(cast(User, request.user), theme=request.POST.get("theme", ""))
    return _back(request)


@require_POST
@requires()
def set_zone(request: HttpRequest) -> HttpResponse:
    """Keep the time zone on the account and go back to the page."""
    change_preferences(cast(User, request.user), time_zone=request.POST.get("zone", ""))
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    if wants_fragment(request):
        return HttpResponse(status=204)
    referer = request.headers.get("Referer", "")
    safe = url_has_allowed_host_and_scheme(
        referer, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return HttpResponseRedirect(referer if safe else reverse("help"), status=303)
