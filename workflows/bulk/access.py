"""The guarded way to a bulk operation."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from portal.core.access import authorise, reach
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.bulk.registry import KINDS
from workflows.models import BulkOperation

NEED_A_PERSON = (BulkOperation.Status.ASKED, BulkOperation.Status.HALTED)


def visible_operations(actor: Actor) -> QuerySet[BulkOperation]:
    """Return one's own operations, and those of kinds of which the actor may see everything.

    An operation names what it touches, so who sees only some teams' things does not see other people's.
    """
    whole = [kind.name for kind in KINDS.values() if reach(actor, kind.view_permission).everywhere]
    return BulkOperation.objects.filter(Q(kind__in=whole) | Q(user=actor.user))


def access_operation(actor: Actor, operation_id: UUID, *, permission: Permission | None = None) -> BulkOperation:
    """Return the operation, if the actor may see it and holds ``permission``.

    :raises NotFound: if there is none, or none that the actor may see.
    :raises Forbidden: if the actor may see it but not do that.
    """
    operation = visible_operations(actor).filter(pk=operation_id).first()
    if operation is None:
        raise NotFound("There is no such bulk operation, or none that you may see.")
    if permission is not None:
        authorise(actor, permission)
    return operation
