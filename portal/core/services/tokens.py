"""API tokens: made by a person for themselves, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from portal.core import audit, clock
from portal.core.access import authorise, may
from portal.core.actor import Actor
from portal.core.errors import Forbidden, InvalidInput, NotFound
from portal.core.models import ApiToken
from portal.core.permissions import Permission

PREFIX = "evk_"
SHOWN = 10  # characters of a token by which its owner tells it from others


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made. ``secret`` is known here and never again."""

    token: ApiToken
    secret: str


@transaction.atomic
def create_token(
    *, actor: Actor, name: str, scopes: Collection[Permission], expires_at: datetime | None = None
) -> NewToken:
    """Make a token for the person who acts. It can do what they can, within its scopes.

    :raises InvalidInput: without a name or scopes, with a scope that the person does not hold, or with a past end.
    :raises Forbidden: for a token that wants to make another one.
    """
    authorise(actor, Permission.MANAGE_OWN_TOKENS)
    if actor.kind != "person" or actor.user is None:
        raise Forbidden("Only a person can make a token.", permission=Permission.MANAGE_OWN_TOKENS.value)
    _check(actor, name, scopes, expires_at)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        owner=actor.user,
        name=name.strip(),
        prefix=secret[:SHOWN],
        digest=hashlib.sha256(secret.encode()).digest(),
        scopes=sorted(scopes),
        expires_at=expires_at,
    )
    facts = {"owner": actor.user.get_username(), "scopes": token.scopes, "expires_at": expires_at}
    audit.record(actor=actor, action="core.token.create", obj=token, object_type="token", after=facts)
    return NewToken(token, secret)


@transaction.atomic
def revoke_token(*, actor: Actor, token_id: UUID, reason: str = "") -> ApiToken:
    """End a token at once: one's own, or anybody's with the right to manage access. Twice does nothing more.

    :raises NotFound: if there is none, or it is somebody else's.
    """
    authorise(actor, Permission.MANAGE_OWN_TOKENS)
    token = ApiToken.objects.select_for_update().filter(pk=token_id).first()
    is_own = token is not None and actor.user is not None and token.owner_id == actor.user.pk
    if token is None or not (is_own or may(actor, Permission.MANAGE_ACCESS)):
        raise NotFound("There is no such token.")
    if token.revoked_at is None:
        token.revoked_at = clock.now()
        token.save(update_fields=["revoked_at"])
        audit.record(
            actor=actor,
            action="core.token.revoke",
            obj=token,
            object_type="token",
            reason=reason.strip(),
            before={"revoked_at": None},
            after={"revoked_at": token.revoked_at},
        )
    return token


def _check(actor: Actor, name: str, scopes: Collection[Permission], expires_at: datetime | None) -> None:
    wrong: dict[str, list[str]] = {}
    if not name.strip():
        wrong["name"] = ["Give the token a name that says where it is used."]
    if not scopes or any(not may(actor, scope) for scope in scopes):
        wrong["scopes"] = ["Choose at least one right, of those that you hold."]
    if expires_at is not None and expires_at <= clock.now():
        wrong["expires_at"] = ["Choose an end that lies ahead."]
    if wrong:
        raise InvalidInput("This token cannot be made.", fields=wrong)
