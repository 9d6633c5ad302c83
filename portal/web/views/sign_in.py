"""Signing in and out: Django's own views, with an entry in the audit trail."""

from __future__ import annotations

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from portal.core.actor import actor_of, person
from portal.core.audit import record
from portal.core.models import User


class SignIn(LoginView):
    """The login page. Wrong passwords are counted and locked out by axes, not written to the audit trail."""

    template_name = "web/login.html"
    redirect_authenticated_user = True

    @transaction.atomic
    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign the person in and note it."""
        response = super().form_valid(form)
        user = form.get_user()
        assert isinstance(user, User)  # noqa: S101 - AUTH_USER_MODEL; narrows the type
        address = self.request.META.get("REMOTE_ADDR", "")
        record(actor=person(user, origin=f"page {address}"), action="core.session.open", obj=user)
        return response


class SignOut(LogoutView):
    """Ends the session, by POST only."""

    @transaction.atomic
    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Note it and sign the person out."""
        record(actor=actor_of(request), action="core.session.close", obj=actor_of(request).user)
        return super().post(request, *args, **kwargs)
