"""How large an operation somebody may start alone, or approve for another."""

from __future__ import annotations

from portal.core.actor import Actor
from portal.core.permissions import Role
from workflows.bulk.conf import BY_GRANT, LIMITS, Limit


def limit_of(actor: Actor) -> Limit:
    """Return the limits of the actor's roles, the largest of each. Whether they have the right is not asked here."""
    if actor.user is None:
        return Limit()
    if actor.user.is_superuser:
        return LIMITS[Role.ADMIN]
    names = set(actor.user.groups.order_by().values_list("name", flat=True))
    held = [limit for role, limit in LIMITS.items() if role in names] or [BY_GRANT]
    return Limit(alone=max(limit.alone for limit in held), approve=max(limit.approve for limit in held))
