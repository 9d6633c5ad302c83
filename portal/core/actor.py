"""Who acts: a person in a browser, a person's API token, or the portal itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, cast

from django.http import HttpRequest

from portal.core.errors import NotAuthenticated
from portal.core.models import ApiToken, User
from portal.core.permissions import Permission

_MEMO = "_evenkeel_actor"


@dataclass(frozen=True, slots=True)
class Actor:
    """The one who asks for something to be done. ``scopes`` is ``None`` unless a token narrows the rights."""

    kind: Literal["person", "token", "system"]
    id: str
    label: str
    user: User | None = None
    scopes: frozenset[Permission] | None = None
    origin: str = ""
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)  # of portal.core.access


SYSTEM = Actor(kind="system", id="system", label="Evenkeel", origin="engine")


def person(user: User, *, origin: str = "") -> Actor:
    """Return the actor for a signed-in person."""
    label = user.get_full_name() or user.get_username()
    return Actor(kind="person", id=str(user.pk), label=label, user=user, origin=origin)


def bearer(token: ApiToken, *, origin: str = "") -> Actor:
    """Return the actor for an API token: its owner, narrowed to the token's scopes."""
    return Actor(
        kind="token",
        id=str(token.pk),
        label=f"{token.owner.get_full_name() or token.owner.get_username()} with token {token.name}",
        user=token.owner,
        scopes=frozenset(p for p in Permission if p in token.scopes),
        origin=origin,
    )


def actor_of(request: HttpRequest) -> Actor:
    """Return who makes this request (Django's or REST framework's), the same object each time.

    :raises NotAuthenticated: for an anonymous request.
    """
    known = request.__dict__.get(_MEMO)
    if known is None:
        known = request.__dict__[_MEMO] = _identify(request)
    return cast(Actor, known)


def _identify(request: HttpRequest) -> Actor:
    address = request.META.get("REMOTE_ADDR", "")
    token = getattr(request, "auth", None)
    if isinstance(token, ApiToken):
        return bearer(token, origin=f"api {address}")
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return person(request.user, origin=f"{'api' if request.path.startswith('/api/') else 'page'} {address}")
