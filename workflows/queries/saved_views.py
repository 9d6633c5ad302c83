"""Named lists of runs."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.models import SavedView


def saved_views(actor: Actor) -> QuerySet[SavedView]:
    """Return the actor's own views and those that are shared, by name."""
    return SavedView.objects.filter(Q(owner=actor.user) | Q(is_shared=True)).select_related("owner")


def may_remove(actor: Actor, view: SavedView) -> bool:
    """Whether it is the actor's own, or shared and theirs to keep in order."""
    is_own = actor.user is not None and view.owner_id == actor.user.pk
    return is_own or may(actor, Permission.MANAGE_ACCESS)


def access_saved_view(actor: Actor, view_id: UUID) -> SavedView:
    """Return a view that the actor sees.

    :raises NotFound: if there is none.
    """
    view = saved_views(actor).filter(pk=view_id).first()
    if view is None:
        raise NotFound("There is no such view, or none that you may see.")
    return view
