"""What every page view has in common: the right that it needs, checked before its body runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponseBase

from portal.core.access import authorise, is_insider, may
from portal.core.actor import actor_of
from portal.core.errors import NotFound
from portal.core.permissions import Permission

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def requires(permission: Permission | None = None) -> Callable[[View[P]], View[P]]:
    """Let only those in who hold ``permission`` somewhere; without one, everybody who has signed in.

    Whether they hold it on the object at hand is checked again, by the query or service that loads it. The
    view's ``required_permission`` is read by the test that walks all URLs.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            actor = actor_of(request)
            if permission is not None and not may(actor, permission):
                # Somebody who sees nothing at all must not learn from a 403 that the address means something.
                if kwargs and not is_insider(actor):
                    raise NotFound
                authorise(actor, permission)
            return view(request, *args, **kwargs)

        guarded.required_permission = permission  # type: ignore[attr-defined]
        return guarded

    return decorate
