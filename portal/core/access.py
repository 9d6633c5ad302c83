"""Who may do what: global rights through roles, object rights on teams and workflows.

The only place that decides. Django's ``has_perm`` and guardian's shortcuts know nothing of a grant's expiry
or of a token's scopes, so nothing else in the portal asks them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db.models import Q, Value

from portal.core import clock
from portal.core.actor import Actor
from portal.core.errors import Forbidden, NotFound
from portal.core.models import GroupGrant, Team, UserGrant
from portal.core.permissions import OBJECT_PERMISSIONS, Permission

TEAM = "core.team"
WORKFLOW = "workflows.workflow"  # by label: the kernel does not import the workflows app
_ROLE = "role"
_SEEING = (Permission.VIEW_WORKFLOW, Permission.VIEW_RUN)


@dataclass(frozen=True, slots=True)
class AccessScope:
    """The objects whose grants count for something: its workflow and that workflow's team (primary keys)."""

    workflow_id: int | None = None
    team_id: int | None = None


@runtime_checkable
class Scoped(Protocol):
    """Anything that rights can be held on, such as a run."""

    @property
    def access_scope(self) -> AccessScope: ...


@dataclass(frozen=True, slots=True)
class Reach:
    """Where somebody holds one right. Falsy: nowhere."""

    everywhere: bool = False
    teams: frozenset[int] = frozenset()
    workflows: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.teams) or bool(self.workflows)

    def covers(self, scope: AccessScope) -> bool:
        """Whether something in ``scope`` is within this reach."""
        return self.everywhere or scope.workflow_id in self.workflows or scope.team_id in self.teams


NOWHERE = Reach()
EVERYWHERE = Reach(everywhere=True)


def reach(actor: Actor, permission: Permission) -> Reach:
    """Return where ``actor`` holds ``permission``. One query for all rights of an actor, then none."""
    if actor.kind == "system":
        return EVERYWHERE
    if actor.user is None or not actor.user.is_active:
        return NOWHERE
    if actor.scopes is not None and permission not in actor.scopes:
        return NOWHERE
    if actor.user.is_superuser:
        return EVERYWHERE
    return _holding(actor.memo, actor.user.pk).rights.get(permission, NOWHERE)


def roles(actor: Actor) -> list[str]:
    """Return the names of the roles that ``actor`` has, with the same one query as their rights."""
    return [] if actor.user is None else _holding(actor.memo, actor.user.pk).roles


def may(actor: Actor, permission: Permission, obj: Scoped | AccessScope | None = None) -> bool:
    """Whether ``actor`` holds ``permission`` on ``obj``; without one, whether anywhere at all."""
    held = reach(actor, permission)
    return bool(held) if obj is None else held.covers(_scope(obj))


def is_insider(actor: Actor, obj: Scoped | AccessScope | None = None) -> bool:
    """Whether ``actor`` may know that ``obj`` exists; without one, whether there is anything they may see."""
    return any(may(actor, seeing, obj) for seeing in _SEEING)


def authorise(actor: Actor, permission: Permission, obj: Scoped | AccessScope | None = None) -> None:
    """Return if ``actor`` holds ``permission`` on ``obj`` (without one: anywhere).

    :raises NotFound: if they may not even know that ``obj`` exists.
    :raises Forbidden: if they may see it but not do that; the context names permission and owning team.
    """
    if may(actor, permission, obj):
        return
    if obj is not None and (permission in _SEEING or not is_insider(actor, obj)):
        raise NotFound
    owner = _owner(obj)
    words = permission.replace("_", " ")
    raise Forbidden(
        f"This needs the right to {words}. Ask {owner or 'an administrator'} for it.",
        permission=permission.value,
        owner=owner,
    )


def within_reach(actor: Actor, permission: Permission, *, workflow: str = "workflow") -> Q:
    """Return the filter for rows on which ``actor`` holds ``permission``.

    ``workflow`` is the path of lookups from the row to its Workflow, "" for workflows themselves.
    """
    held = reach(actor, permission)
    if held.everywhere:
        return Q()
    team = f"{workflow}__team__in" if workflow else "team__in"
    return Q(**{f"{workflow or 'pk'}__in": held.workflows}) | Q(**{team: held.teams})


def _scope(obj: Scoped | AccessScope) -> AccessScope:
    return obj if isinstance(obj, AccessScope) else obj.access_scope


def _owner(obj: Scoped | AccessScope | None) -> str:
    team_id = _scope(obj).team_id if obj is not None else None
    return "" if team_id is None else Team.objects.values_list("name", flat=True).get(pk=team_id)


@dataclass(frozen=True, slots=True)
class _Holding:
    """What one person holds."""

    rights: Mapping[Permission, Reach]
    roles: list[str]


def _holding(memo: dict[str, Any], user_id: int) -> _Holding:
    if "holding" not in memo:
        held = list(_held(user_id))
        memo["holding"] = _Holding(_rights(held), sorted(name for name, app, _, _ in held if app == _ROLE))
    found: _Holding = memo["holding"]
    return found


def _rights(held: Iterable[tuple[str, str, str, str]]) -> Mapping[Permission, Reach]:
    everywhere: set[str] = set()
    objects: dict[tuple[str, str], set[int]] = defaultdict(set)
    for codename, app, model, key in held:
        if key:
            objects[codename, f"{app}.{model}"].add(int(key))
        else:
            everywhere.add(codename)
    rights = {p: EVERYWHERE for p in Permission if p in everywhere}
    for permission in OBJECT_PERMISSIONS - rights.keys():
        rights[permission] = Reach(
            teams=frozenset(objects[permission, TEAM]), workflows=frozenset(objects[permission, WORKFLOW])
        )
    return rights


def _held(user_id: int) -> Iterable[tuple[str, str, str, str]]:
    """Return what somebody holds as (codename, app, model, key); the key is "" for what they hold everywhere.

    And their roles, as (name, ``_ROLE``, "", "").
    """
    columns = ("permission__codename", "content_type__app_label", "content_type__model", "object_pk")
    in_force = Q(expires_at=None) | Q(expires_at__gt=clock.now())
    own = UserGrant.objects.filter(in_force, user=user_id).order_by().values_list(*columns)
    through_group = GroupGrant.objects.filter(in_force, group__user=user_id).order_by().values_list(*columns)
    everywhere = DjangoPermission.objects.filter(
        Q(group__user=user_id) | Q(user=user_id), content_type__app_label="core", content_type__model="team"
    )
    model = ("content_type__app_label", "content_type__model")
    all_over = everywhere.order_by().values_list("codename", *model, Value(""))
    named = Group.objects.filter(user=user_id).order_by().values_list("name", Value(_ROLE), Value(""), Value(""))
    return own.union(through_group, all_over, named)
