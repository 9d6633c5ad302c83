"""The frame of every page: navigation by rights, environment, theme, zone. Lazy: a fragment pays for nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import QuerySet, Value
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from portal.core import clock
from portal.core.access import may, roles, within_reach
from portal.core.actor import actor_of
from portal.core.models import User
from portal.core.permissions import Permission
from workflows.bulk.access import NEED_A_PERSON, visible_operations
from workflows.engine.state import RunStatus
from workflows.models import DeadLetter, Run

COUNT_LIMIT = 99
COUNT_WORDS = {
    "run-list": "failed in the last 24 hours",
    "dead-letter-list": "open",
    "bulk-list": "wait for a person",
}


@dataclass(frozen=True, slots=True)
class Section:
    """A place in the navigation. ``permission`` None: for everybody who has signed in."""

    url_name: str
    title: str
    icon: str
    permission: Permission | None = None
    key: str = ""  # "g", then this letter, goes there


SECTIONS: dict[str, tuple[Section, ...]] = {
    "Now": (
        Section("overview", "Overview", "gauge", Permission.VIEW_RUN, "o"),
        Section("lookup", "Lookup", "search", Permission.VIEW_RUN, "l"),
    ),
    "Work": (
        Section("workflow-list", "Workflows", "workflow", Permission.VIEW_WORKFLOW, "w"),
        Section("run-list", "Runs", "activity", Permission.VIEW_RUN, "r"),
        Section("dead-letter-list", "Dead letters", "mail-x", Permission.VIEW_RUN, "x"),
        Section("bulk-list", "Bulk repair", "layers", Permission.VIEW_RUN, "b"),
    ),
    "Reliability": (
        Section("dependency-list", "Dependencies", "plug", Permission.VIEW_WORKFLOW, "d"),
        Section("completeness", "Completeness", "list-checks", Permission.VIEW_RUN, "m"),
        Section("contract-list", "Contracts", "file-text", Permission.VIEW_WORKFLOW, "c"),
        Section("lock-list", "Locks", "lock", Permission.VIEW_RUN),
        Section("schedule-list", "Schedules", "calendar-clock", Permission.VIEW_WORKFLOW, "s"),
        Section("reconciliation-list", "Reconciliation", "scale", Permission.VIEW_RUN),
    ),
    "Trust": (
        Section("audit-list", "Audit", "scroll-text", Permission.VIEW_AUDIT, "a"),
        Section("access", "Access", "users-round", Permission.VIEW_ACCESS),
    ),
    "Demo": (Section("sandbox", "Sandbox", "flask-conical", Permission.OPERATE_SANDBOX),),
}
PERSONAL = (
    Section("preferences", "Preferences", "settings-2"),
    Section("tokens", "API tokens", "key-round", Permission.MANAGE_OWN_TOKENS),
)


@dataclass(frozen=True, slots=True)
class Item:
    """A link of the navigation, as drawn. ``current`` is the value of ``aria-current``."""

    title: str
    icon: str
    url: str
    key: str = ""
    current: str = ""
    count: str = ""
    count_words: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    items: tuple[Item, ...]

    @property
    def slug(self) -> str:
        return self.title.lower()


class Shell:
    """What base.html shows around a page. Each part is worked out when a template first asks for it."""

    banner = None  # only an open incident of severity 1 or 2 has one

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        user = getattr(request, "user", None)
        self._user = user if isinstance(user, User) else None

    @property
    def theme(self) -> str:
        return self._user.theme if self._user else User.Theme.SYSTEM.value

    @property
    def density(self) -> str:
        return self._user.density if self._user else User.Density.REGULAR.value

    @property
    def shortcuts(self) -> bool:
        return self._user is not None and self._user.single_key_shortcuts

    @property
    def zone(self) -> str:
        return timezone.get_current_timezone_name()

    @property
    def zone_words(self) -> str:
        return timezone.localtime().tzname() or self.zone

    @property
    def is_utc(self) -> bool:
        return self.zone == "UTC"

    @property
    def now(self) -> datetime:
        return clock.now()

    @property
    def environment(self) -> str:
        return str(settings.ENVIRONMENT)

    @property
    def environment_words(self) -> str:
        return "Demo" if self.is_demo and self.environment != "production" else self.environment.capitalize()

    @property
    def is_demo(self) -> bool:
        return bool(settings.DEMO)

    @property
    def home(self) -> str:
        return _url("landing") or "/"

    @property
    def search_url(self) -> str:
        return reverse("search")

    @property
    def help_url(self) -> str:
        return reverse("help")

    @cached_property
    def role_words(self) -> str:
        if self._user is None:
            return ""
        names = [name.capitalize() for name in roles(actor_of(self._request))]
        return ", ".join(names) or ("Administrator" if self._user.is_superuser else "No role")

    @cached_property
    def groups(self) -> list[Group]:
        groups = [Group(title, self._items(sections)) for title, sections in SECTIONS.items()]
        return [group for group in groups if group.items]

    @cached_property
    def personal(self) -> tuple[Item, ...]:
        return self._items(PERSONAL)

    def _items(self, sections: tuple[Section, ...]) -> tuple[Item, ...]:
        return tuple(
            self._item(section, url)
            for section in sections
            if (url := _url(section.url_name)) and self._may_open(section)
        )

    def _may_open(self, section: Section) -> bool:
        if self._user is None:
            return False
        if section.permission is None:
            return True
        try:
            return may(actor_of(self._request), section.permission)
        except DatabaseError:
            return False  # the page of an outage has no navigation, but it is a page

    def _item(self, section: Section, url: str) -> Item:
        # The landing page is the overview, unless it leads elsewhere.
        path = self._request.path if self._request.path != "/" else _url("overview")
        count = self._counts[section.url_name] if section.url_name in COUNT_WORDS else 0
        return Item(
            title=section.title,
            icon=section.icon,
            url=url,
            key=section.key,
            current="page" if path == url else "true" if path.startswith(url) else "",
            count=f"{COUNT_LIMIT}+" if count > COUNT_LIMIT else str(count or ""),
            count_words=COUNT_WORDS[section.url_name] if count else "",
        )

    @cached_property
    def _counts(self) -> Counter[str]:
        """How many things of each section ask for attention. One query for all sections."""
        actor = actor_of(self._request)
        things: dict[str, QuerySet[Any]] = {
            "run-list": Run.objects.filter(
                within_reach(actor, Permission.VIEW_RUN),
                status__in=[RunStatus.FAILED, RunStatus.ROLLBACK_FAILED],
                ended_at__gte=clock.now() - timedelta(days=1),
            ),
            "dead-letter-list": DeadLetter.objects.filter(
                within_reach(actor, Permission.VIEW_RUN), status=DeadLetter.Status.OPEN
            ),
            "bulk-list": visible_operations(actor).filter(status__in=NEED_A_PERSON),
        }
        first, *others = (
            rows.order_by().annotate(section=Value(name)).values_list("section", flat=True)[: COUNT_LIMIT + 1]
            for name, rows in things.items()
        )
        return Counter(first.union(*others, all=True))


def _url(name: str) -> str:
    """Return the address of a section, or "" where this installation does not have it."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def shell(request: HttpRequest) -> dict[str, Shell]:
    """Context processor: ``shell`` in every template."""
    return {"shell": Shell(request)}
