"""What people keep for themselves: API tokens and preferences."""

from __future__ import annotations

import zoneinfo
from typing import cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from portal.core.actor import actor_of
from portal.core.errors import InvalidInput
from portal.core.htmx import go_to
from portal.core.models import ApiToken, User
from portal.core.permissions import Permission
from portal.core.services.preferences import change_preferences
from portal.core.services.tokens import NewToken, create_token, revoke_token
from portal.core.web import requires
from portal.web.access_forms import PreferencesForm, TokenForm, add_problems

require_form = require_http_methods(["GET", "HEAD", "POST"])


@never_cache
@require_form
@requires(Permission.MANAGE_OWN_TOKENS)
def tokens(request: HttpRequest) -> HttpResponse:
    """A person's own tokens. A new one is shown in the answer to the form that made it, and never again."""
    actor = actor_of(request)
    form = TokenForm(request.POST or None, actor=actor)
    made: NewToken | None = None
    if form.is_bound and form.is_valid():
        made = create_token(actor=actor, **form.values)
        form = TokenForm(actor=actor)
    context = {
        "form": form,
        "made": made,
        "tokens": ApiToken.objects.filter(owner=cast(User, request.user), revoked_at=None),
    }
    return render(request, "access/tokens.html", context, status=422 if form.errors else 200)


@require_POST
@requires(Permission.MANAGE_OWN_TOKENS)
def token_revoke(request: HttpRequest, token_id: UUID) -> HttpResponse:
    """End a token at once."""
    token = revoke_token(actor=actor_of(request), token_id=token_id, reason=request.POST.get("reason", ""))
    messages.success(request, f"The token {token.name} opens nothing any more.")
    own = token.owner_id == cast(User, request.user).pk
    back = reverse("tokens") if own else reverse("access-person", args=[token.owner.get_username()])
    return go_to(request, back)


@require_form
@requires()
def preferences(request: HttpRequest) -> HttpResponse:
    """Theme, density, time zone and shortcuts: kept on the account."""
    user = cast(User, request.user)
    names = ("theme", "density", "time_zone", "single_key_shortcuts")
    form = PreferencesForm(request.POST or None, initial={name: getattr(user, name) for name in names})
    if form.is_bound and form.is_valid():
        try:
            change_preferences(user, **form.cleaned_data)
        except InvalidInput as exc:
            add_problems(form, exc)
        else:
            messages.success(request, "Your preferences are saved.")
            return go_to(request, reverse("preferences"))
    context = {"form": form, "zones": sorted(zoneinfo.available_timezones())}
    return render(request, "access/preferences.html", context, status=422 if form.errors else 200)
