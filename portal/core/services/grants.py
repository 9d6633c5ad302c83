"""Object grants: rights on one team or one workflow, with a reason and, if wanted, an end."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction

from portal.core import audit, clock
from portal.core.access import TEAM, WORKFLOW, authorise
from portal.core.actor import Actor
from portal.core.errors import InvalidInput, NotFound
from portal.core.models import GroupGrant, User, UserGrant
from portal.core.permissions import OBJECT_PERMISSIONS, Permission
from portal.core.services.reasons import checked_reason

Holder = User | Group


@transaction.atomic
def grant_rights(
    *,
    actor: Actor,
    holder: Holder,
    rights: Collection[Permission],
    obj: models.Model,
    reason: str,
    expires_at: datetime | None = None,
) -> None:
    """Give a person, or everybody with a role, rights on a team (all its workflows) or on one workflow.

    What they hold there already gets the new reason and end.

    :raises InvalidInput: for a right that exists for the whole portal only, an end in the past, or no real reason.
    """
    authorise(actor, Permission.MANAGE_ACCESS)
    reason = checked_reason(reason)
    _check(rights, obj, expires_at)
    before = _held(holder, obj)
    content_type = ContentType.objects.get_for_model(obj)
    facts = {
        "granted_at": clock.now(),
        "granted_by": actor.label[:200],
        "reason": reason,
        "expires_at": expires_at,
    }
    for permission in DjangoPermission.objects.filter(content_type=content_type, codename__in=rights):
        _rows(holder).update_or_create(
            **_key(holder),
            permission=permission,
            content_type=content_type,
            object_pk=str(obj.pk),
            defaults=facts,
        )
    _record(actor, "core.grant.give", holder, obj, reason, before)


@transaction.atomic
def revoke_rights(*, actor: Actor, holder: Holder, obj: models.Model, reason: str) -> None:
    """Take away all rights that a person, or a role, was given on this team or workflow.

    :raises NotFound: if there are none.
    """
    authorise(actor, Permission.MANAGE_ACCESS)
    reason = checked_reason(reason)
    before = _held(holder, obj)
    if not before:
        raise NotFound(f"{holder} holds no rights of their own on {obj}.")
    _on(holder, obj).delete()
    _record(actor, "core.grant.take", holder, obj, reason, before)


def _check(rights: Collection[Permission], obj: models.Model, expires_at: datetime | None) -> None:
    if obj._meta.label_lower not in (TEAM, WORKFLOW):
        raise InvalidInput("Rights can be held on a team or on a workflow.")
    if not rights or not OBJECT_PERMISSIONS.issuperset(rights):
        message = "Choose rights that make sense on one team or workflow."
        raise InvalidInput(message, fields={"rights": [message]})
    if expires_at is not None and expires_at <= clock.now():
        message = "Choose an end that lies ahead."
        raise InvalidInput(message, fields={"expires_at": [message]})


def _rows(holder: Holder) -> models.Manager[UserGrant] | models.Manager[GroupGrant]:
    return UserGrant.objects if isinstance(holder, User) else GroupGrant.objects


def _key(holder: Holder) -> dict[str, Any]:
    return {"user" if isinstance(holder, User) else "group": holder}


def _on(holder: Holder, obj: models.Model) -> models.QuerySet[UserGrant] | models.QuerySet[GroupGrant]:
    content_type = ContentType.objects.get_for_model(obj)
    return _rows(holder).filter(**_key(holder), content_type=content_type, object_pk=str(obj.pk))


def _held(holder: Holder, obj: models.Model) -> dict[str, datetime | str]:
    rows = _on(holder, obj).order_by("permission__codename").values_list("permission__codename", "expires_at")
    return {right: until or "no end" for right, until in rows}


def _record(
    actor: Actor, action: str, holder: Holder, obj: models.Model, reason: str, before: dict[str, datetime | str]
) -> None:
    name = holder.get_username() if isinstance(holder, User) else f"everybody with the role {holder.name}"
    audit.record(
        actor=actor,
        action=action,
        obj=obj,
        reason=reason,
        before={"holder": name, "rights": before},
        after={"holder": name, "rights": _held(holder, obj)},
    )
