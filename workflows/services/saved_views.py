"""Giving a list of runs a name, and taking it away."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.http import QueryDict

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import Conflict, Forbidden, InvalidInput
from portal.core.permissions import Permission
from workflows.filters import filtered_runs
from workflows.models import Run, SavedView
from workflows.queries.saved_views import access_saved_view, may_remove

MOST = 50  # of one person
MAX_NAME = 60
MAX_QUERY = 2_000


@transaction.atomic
def save_view(*, actor: Actor, name: str, query: str, is_shared: bool) -> SavedView:
    """Keep the query string of the runs list under a name; one's own view of that name is replaced.

    :raises InvalidInput: for a filter that the list does not know, or a name that is empty or too long.
    :raises Conflict: if the actor has as many views as one may have.
    """
    authorise(actor, Permission.VIEW_RUN)
    name = name.strip()
    if not 0 < len(name) <= MAX_NAME:
        raise InvalidInput(fields={"name": [f"Use 1 to {MAX_NAME} characters."]})
    if len(query) > MAX_QUERY:
        raise InvalidInput("This view has too many filters to be saved.")
    filtered_runs(actor, Run.objects.none(), QueryDict(query))
    own = SavedView.objects.select_for_update().filter(owner=actor.user)
    if own.exclude(name=name).count() >= MOST:
        raise Conflict(f"You have {MOST} views. Remove one first.")
    view, _ = SavedView.objects.update_or_create(
        owner=actor.user, name=name, defaults={"query": query, "is_shared": is_shared, "created_at": now()}
    )
    record(actor=actor, action="workflows.view.save", obj=view, after={"query": query, "shared": is_shared})
    return view


@transaction.atomic
def remove_view(*, actor: Actor, view_id: UUID) -> SavedView:
    """Take a name away; the list that it led to stays where it is.

    :raises Forbidden: for somebody else's, unless the actor manages access.
    """
    view = access_saved_view(actor, view_id)
    if not may_remove(actor, view):
        raise Forbidden(f"This view is {view.owner}'s. Ask them, or an administrator, to remove it.")
    record(actor=actor, action="workflows.view.remove", obj=view, before={"query": view.query})
    SavedView.objects.filter(pk=view.pk).delete()
    return view
