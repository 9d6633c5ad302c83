"""People: adding them, switching their accounts off and on, and one's own password."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.core.actor import actor_of
from portal.core.errors import InvalidInput
from portal.core.htmx import go_to
from portal.core.models import User
from portal.core.permissions import Permission
from portal.core.services.people import NewPerson, add_person, change_password, switch_person
from portal.core.web import requires
from portal.web.access import person_named
from portal.web.access_forms import PasswordForm, PersonForm, ReasonForm, add_problems
from portal.web.dialogs import Dialog, ask

require_form = require_http_methods(["GET", "HEAD", "POST"])


@never_cache
@require_form
@requires(Permission.MANAGE_ACCESS)
def person_new(request: HttpRequest) -> HttpResponse:
    """Add somebody. The first password is in the answer to the form, and never shown again."""
    form = PersonForm(request.POST or None)
    made: NewPerson | None = None
    if form.is_bound and form.is_valid():
        try:
            made = add_person(actor=actor_of(request), **form.values)
            form = PersonForm()
        except InvalidInput as exc:
            add_problems(form, exc)
    context = {"form": form, "made": made}
    return render(request, "access/person_new.html", context, status=422 if form.errors else 200)


@require_form
@requires(Permission.MANAGE_ACCESS)
def person_switch(request: HttpRequest, username: str, to: str) -> HttpResponse:
    """Ask why, then switch an account off or on."""
    user, on = person_named(username), to == "on"
    name = user.get_full_name() or username
    form = ReasonForm(request.POST or None)
    off_effects = ("They are signed out with their next click.", "Their API tokens open nothing while it is off.")
    dialog = Dialog(
        title=f"Switch the account of {name} {to}?",
        confirm=f"Switch it {to}",
        back=reverse("access-person", args=[username]),
        effects=("They can sign in again, with the rights they had.",) if on else off_effects,
        is_danger=not on,
    )

    def act() -> str:
        switch_person(actor=actor_of(request), username=username, on=on, reason=form.cleaned_data["reason"])
        return f"The account of {name} is {to}."

    return ask(request, dialog, form, act)


@require_form
@requires()
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password."""
    user = cast(User, request.user)
    form = PasswordForm(request.POST or None)
    if form.is_bound and form.is_valid():
        try:
            change_password(actor=actor_of(request), user=user, **form.cleaned_data)
        except InvalidInput as exc:
            add_problems(form, exc)
        else:
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is changed. Other sessions of yours are signed out.")
            return go_to(request, reverse("preferences"))
    return render(request, "access/password.html", {"form": form}, status=422 if form.errors else 200)
