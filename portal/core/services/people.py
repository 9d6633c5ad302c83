"""People: added by an administrator, switched off and on, never deleted: the audit trail speaks of them."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import transaction

from portal.core import audit
from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.errors import Conflict, InvalidInput, NotFound
from portal.core.models import User
from portal.core.permissions import Permission, Role
from portal.core.services.reasons import checked_reason
from portal.core.services.roles import administrators


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody who was just added. ``password`` is known here and never again."""

    user: User
    password: str


@transaction.atomic
def add_person(
    *, actor: Actor, username: str, full_name: str = "", email: str = "", roles: Collection[Role] = (), reason: str
) -> NewPerson:
    """Add somebody with these roles and a first password, which they should change.

    :raises InvalidInput: for a user name that is taken or has other characters than letters, digits and @.+-_
    """
    authorise(actor, Permission.MANAGE_ACCESS)
    reason = checked_reason(reason)
    _check_name(username)
    first, _, last = full_name.strip().partition(" ")
    password = secrets.token_urlsafe(12)
    user = User.objects.create_user(username, email.strip(), password, first_name=first, last_name=last.strip())
    user.groups.set(Group.objects.filter(name__in=roles))
    after = {"name": full_name.strip(), "email": user.email, "roles": sorted(roles)}
    audit.record(actor=actor, action="core.person.add", obj=user, reason=reason, after=after)
    return NewPerson(user, password)


@transaction.atomic
def switch_person(*, actor: Actor, username: str, on: bool, reason: str) -> User:
    """Switch an account off, which ends its sessions and tokens with their next request, or on again.

    :raises NotFound: if there is nobody of that name.
    :raises Conflict: if nobody could manage access any more.
    """
    authorise(actor, Permission.MANAGE_ACCESS)
    reason = checked_reason(reason)
    # As in revoke_role: the locked row keeps two from taking the last two administrators at once.
    Group.objects.select_for_update().filter(name=Role.ADMIN).first()
    user = User.objects.filter(username=username).first()
    if user is None:
        raise NotFound("There is no person with that user name.")
    if user.is_active == on:
        return user
    if not on and not administrators().exclude(pk=user.pk).exists():
        raise Conflict(f"{user} is the last administrator. Make somebody else one first.")
    user.is_active = on
    user.save(update_fields=["is_active"])
    audit.record(
        actor=actor,
        action=f"core.person.switch_{'on' if on else 'off'}",
        obj=user,
        reason=reason,
        before={"active": not on},
        after={"active": on},
    )
    return user


@transaction.atomic
def change_password(*, actor: Actor, user: User, old: str, new: str) -> None:
    """Give one's own account another password. Other sessions end with it.

    :raises InvalidInput: if ``old`` is not the present one, or ``new`` is too easy to guess.
    """
    if not user.check_password(old):
        raise InvalidInput(fields={"old": ["This is not your present password."]})
    try:
        validate_password(new, user)
    except ValidationError as exc:
        raise InvalidInput(fields={"new": exc.messages}) from exc
    user.set_password(new)
    user.save(update_fields=["password"])
    audit.record(actor=actor, action="core.password.change", obj=user)


def _check_name(username: str) -> None:
    try:
        UnicodeUsernameValidator()(username)
    except ValidationError as exc:
        raise InvalidInput(fields={"username": exc.messages}) from exc
    if User.objects.filter(username__iexact=username).exists():
        raise InvalidInput(fields={"username": ["Somebody has this user name already."]})
