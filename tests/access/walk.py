"""Every address of the portal, as Django's resolver knows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True, slots=True)
class Address:
    """A pattern of the URLconf: its name (the route where it has none), its view, the names in its path."""

    name: str
    route: str
    view: Any
    arguments: tuple[str, ...]

    @property
    def is_api(self) -> bool:
        """Whether problems are told as JSON here."""
        return self.route.startswith("api/") and hasattr(self.view, "cls")

    @property
    def is_public(self) -> bool:
        """Whether one need not sign in. REST framework's views look public to Django; they guard themselves."""
        return not self.is_api and not getattr(self.view, "login_required", True)

    @property
    def guard(self) -> Any:
        """The right that the view says it needs; "none" if it says nothing."""
        return getattr(getattr(self.view, "cls", self.view), "required_permission", "none")


def addresses() -> list[Address]:
    """Return every address, in the order in which they are tried."""
    return list(_walk(get_resolver().url_patterns, "", ()))


def _walk(patterns: Sequence[URLPattern | URLResolver], prefix: str, outer: tuple[str, ...]) -> Iterator[Address]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        arguments = (*outer, *pattern.pattern.regex.groupindex)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route, arguments)
        else:
            yield Address(pattern.name or route, route, pattern.callback, arguments)
