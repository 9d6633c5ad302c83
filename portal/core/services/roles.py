"""Roles: Django groups that hold exactly the rights of ``ROLE_PERMISSIONS``."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.db import transaction
from django.db.models import Q, QuerySet

from portal.core import audit
from portal.core.access import authorise
from portal.core.actor import SYSTEM, Actor
from portal.core.errors import Conflict, NotFound
from portal.core.models import User
from portal.core.permissions import ROLE_PERMISSIONS, Permission, Role
from portal.core.services.reasons import checked_reason


@transaction.atomic
def sync_roles(*, actor: Actor = SYSTEM) -> list[Role]:
    """Make every role's group hold exactly its rights. Return the roles that had to be changed.

    Run by ``manage.py sync_access`` after ``migrate``: the permissions that it hands out are created by migrate's
    last act, so that no migration can do this.
    """
    rights = {
        p.codename: p
        for p in DjangoPermission.objects.filter(content_type__app_label="core", content_type__model="team")
    }
    synced = []
    for role, wanted in ROLE_PERMISSIONS.items():
        group, _ = Group.objects.get_or_create(name=role)
        held = set(group.permissions.order_by().values_list("codename", flat=True))
        if held == wanted:
            continue
        group.permissions.set([rights[permission] for permission in wanted])
        audit.record(
            actor=actor,
            action="core.role.sync",
            object_type="role",
            object_id=role,
            object_label=role.capitalize(),
            before={"rights": sorted(held)},
            after={"rights": sorted(wanted)},
        )
        synced.append(role)
    return synced


@transaction.atomic
def grant_role(*, actor: Actor, username: str, role: Role, reason: str) -> User:
    """Give a person a role, everywhere. Giving it twice does nothing.

    :raises NotFound: if there is no such person.
    :raises InvalidInput: if the reason says too little.
    """
    authorise(actor, Permission.MANAGE_ACCESS)
    reason = checked_reason(reason)
    user, group = _person(username), Group.objects.select_for_update().get(name=role)
    before = _roles(user)
    if role not in before:
        user.groups.add(group)
        _record(actor, "core.role.grant", user, reason, before)
    return user


@transaction.atomic
def revoke_role(*, actor: Actor, username: str, role: Role, reason: str) -> User:
    """Take a role away from a person.

    :raises Conflict: if nobody could manage access any more.
    :raises NotFound: if there is no such person.
    """
    authorise(actor, Permission.MANAGE_ACCESS)
    reason = checked_reason(reason)
    # The group's locked row puts two revocations in order, so that they cannot take the last two admins at once.
    user, group = _person(username), Group.objects.select_for_update().get(name=role)
    before = _roles(user)
    if role in before:
        if role == Role.ADMIN and not administrators().exclude(pk=user.pk).exists():
            raise Conflict(f"{user} is the last administrator. Make somebody else one first.")
        user.groups.remove(group)
        _record(actor, "core.role.revoke", user, reason, before)
    return user


def administrators() -> QuerySet[User]:
    """Return the people who can manage access today."""
    return User.objects.filter(Q(is_superuser=True) | Q(groups__name=Role.ADMIN), is_active=True).distinct()


def _person(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound(f"There is no person with the user name {username}.")
    return user


def _roles(user: User) -> list[str]:
    return sorted(user.groups.order_by().values_list("name", flat=True))


def _record(actor: Actor, action: str, user: User, reason: str, before: list[str]) -> None:
    audit.record(
        actor=actor, action=action, obj=user, reason=reason, before={"roles": before}, after={"roles": _roles(user)}
    )
