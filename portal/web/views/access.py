"""Who may do what: people, roles, grants, and why."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.core.access import may
from portal.core.actor import actor_of
from portal.core.errors import NotFound
from portal.core.models import User
from portal.core.permissions import Permission, Role
from portal.core.queries.access import explain, object_words
from portal.core.services.grants import Holder, grant_rights, revoke_rights
from portal.core.services.roles import grant_role, revoke_role
from portal.core.web import requires
from portal.web.access import access_book, person_named, person_page, teams_and_workflows
from portal.web.access_forms import ExplainForm, GrantForm, ReasonForm
from portal.web.dialogs import Dialog, ask

require_form = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@requires(Permission.VIEW_ACCESS)
def overview(request: HttpRequest) -> HttpResponse:
    """People and roles, grants on teams and workflows, and the answer to "why may they?"."""
    objects = teams_and_workflows()
    book = access_book(objects, text=request.GET.get("q", "").strip())
    people = [line.user for line in book.people]
    form = ExplainForm(request.GET if "right" in request.GET else None, people=people, objects=objects)
    context = {
        "book": book,
        "form": form,
        "answer": _answer(form),
        "text": request.GET.get("q", ""),
        "may_manage": may(actor_of(request), Permission.MANAGE_ACCESS),
    }
    return render(request, "access/overview.html", context)


@require_safe
@requires(Permission.VIEW_ACCESS)
def person_detail(request: HttpRequest, username: str) -> HttpResponse:
    """One person's roles, rights, grants and tokens."""
    may_manage = may(actor_of(request), Permission.MANAGE_ACCESS)
    return render(request, "access/person.html", {"page": person_page(username), "may_manage": may_manage})


@require_form
@requires(Permission.MANAGE_ACCESS)
def role_grant(request: HttpRequest, username: str, role: str) -> HttpResponse:
    """Ask why, then give somebody a role."""
    user, wanted = person_named(username), _role(role)
    form = ReasonForm(request.POST or None)
    dialog = Dialog(
        title=f"Give {_name(user)} the role {wanted}?",
        confirm=f"Give the role {wanted}",
        back=reverse("access-person", args=[username]),
        effects=(f"{_name(user)} gets every right of the role {wanted}, on all workflows, at once.",),
    )

    def act() -> str:
        grant_role(actor=actor_of(request), username=username, role=wanted, reason=form.cleaned_data["reason"])
        return f"{_name(user)} has the role {wanted} now."

    return ask(request, dialog, form, act)


@require_form
@requires(Permission.MANAGE_ACCESS)
def role_revoke(request: HttpRequest, username: str, role: str) -> HttpResponse:
    """Ask why, then take a role away."""
    user, held = person_named(username), _role(role)
    form = ReasonForm(request.POST or None)
    dialog = Dialog(
        title=f"Take the role {held} from {_name(user)}?",
        confirm=f"Take the role {held}",
        back=reverse("access-person", args=[username]),
        effects=(f"{_name(user)} loses what only this role gave them, with their next click.",),
        is_danger=True,
    )

    def act() -> str:
        revoke_role(actor=actor_of(request), username=username, role=held, reason=form.cleaned_data["reason"])
        return f"{_name(user)} no longer has the role {held}."

    return ask(request, dialog, form, act)


@require_form
@requires(Permission.MANAGE_ACCESS)
def grant(request: HttpRequest) -> HttpResponse:
    """Give rights on a team or a workflow."""
    given = {"holder": request.GET.get("holder", ""), "on": request.GET.get("on", "")}
    form = GrantForm(request.POST or None, initial=given, objects=teams_and_workflows())
    dialog = Dialog(
        title="Give rights on a team or a workflow",
        confirm="Give these rights",
        back=reverse("access"),
        text="For rights on every workflow, give a role instead.",
    )

    def act() -> str:
        grant_rights(
            actor=actor_of(request),
            holder=form.holder_chosen,
            rights=form.rights_chosen,
            obj=form.object_chosen,
            reason=form.cleaned_data["reason"],
            expires_at=form.cleaned_data["expires_at"],
        )
        return f"The rights on {object_words(form.object_chosen)} are given."

    return ask(request, dialog, form, act)


@require_form
@requires(Permission.MANAGE_ACCESS)
def grant_revoke(request: HttpRequest) -> HttpResponse:
    """Ask why, then take all rights on a team or workflow away from a holder."""
    holder = _holder(request.GET.get("holder", ""))
    objects = {f"{obj._meta.model_name}:{obj.pk}": obj for obj in teams_and_workflows()}
    obj = objects.get(request.GET.get("on", ""))
    if obj is None:
        raise NotFound
    form = ReasonForm(request.POST or None)
    name = _name(holder) if isinstance(holder, User) else f"everybody with the role {holder.name}"
    dialog = Dialog(
        title=f"Take the rights on {object_words(obj)} from {name}?",
        confirm="Take these rights",
        back=reverse("access"),
        effects=("All rights given to them on this are taken. What a role gives them stays.",),
        is_danger=True,
    )

    def act() -> str:
        revoke_rights(actor=actor_of(request), holder=holder, obj=obj, reason=form.cleaned_data["reason"])
        return f"The rights on {object_words(obj)} are taken."

    return ask(request, dialog, form, act)


def _answer(form: ExplainForm) -> dict[str, object] | None:
    if not form.is_bound or not form.is_valid():
        return None
    user = form.people[form.cleaned_data["person"]]
    right, obj = Permission(form.cleaned_data["right"]), form.objects[form.cleaned_data["on"]]
    words = right.replace("_", " ")
    return {"user": _name(user), "right": words, "on": object_words(obj), "explanation": explain(user, right, obj)}


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError as exc:
        raise NotFound("There is no such role.") from exc


def _holder(key: str) -> Holder:
    kind, _, name = key.partition(":")
    return person_named(name) if kind == "person" else Group.objects.get(name=_role(name))


def _name(user: User) -> str:
    return user.get_full_name() or user.get_username()
