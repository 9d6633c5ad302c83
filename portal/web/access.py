"""What the pages about access show."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Model, Q

from portal.core.access import Reach, reach
from portal.core.actor import person
from portal.core.errors import NotFound
from portal.core.models import ApiToken, Team, User
from portal.core.permissions import Permission, Role
from portal.core.queries.access import GrantLine, grant_lines, object_words, right_words
from workflows.models import Workflow

PEOPLE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class PersonLine:
    """Somebody and, role by role, whether they have it."""

    user: User
    roles: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class RightLine:
    """A right and where somebody holds it: "Everywhere", or the names of teams and workflows."""

    words: str
    codename: str
    where: str


@dataclass(frozen=True, slots=True)
class AccessBook:
    """People, roles and grants."""

    people: list[PersonLine]
    has_more: bool
    roles: list[Role]
    grants: list[GrantLine]


@dataclass(frozen=True, slots=True)
class PersonPage:
    """Everything about one person's access."""

    user: User
    roles: list[tuple[Role, bool]]
    rights: list[RightLine]
    grants: list[GrantLine]
    tokens: list[ApiToken]


def teams_and_workflows() -> list[Model]:
    """Return everything that rights can be held on. Two queries."""
    return [*Team.objects.all(), *Workflow.objects.select_related("team")]


def access_book(objects: list[Model], *, text: str = "") -> AccessBook:
    """Return the people whose name holds ``text``, with their roles, and all grants. Four queries."""
    named = Q(username__icontains=text) | Q(first_name__icontains=text) | Q(last_name__icontains=text)
    people = User.objects.filter(named).order_by("username").prefetch_related("groups")[: PEOPLE_LIMIT + 1]
    lines = [_person_line(user) for user in people]
    return AccessBook(lines[:PEOPLE_LIMIT], len(lines) > PEOPLE_LIMIT, list(Role), grant_lines(objects))


def person_named(username: str) -> User:
    """Return the person of that user name, with their roles.

    :raises NotFound: if there is nobody of that name.
    """
    user = User.objects.filter(username=username).prefetch_related("groups").first()
    if user is None:
        raise NotFound("There is no person with that user name.")
    return user


def person_page(username: str) -> PersonPage:
    """Return one person's roles, rights, grants and tokens. Seven queries.

    :raises NotFound: if there is nobody of that name.
    """
    user = person_named(username)
    objects = teams_and_workflows()
    line = _person_line(user)
    tokens = ApiToken.objects.filter(owner=user, revoked_at=None)
    return PersonPage(
        user=user,
        roles=list(zip(Role, line.roles, strict=True)),
        rights=_rights(user, objects),
        grants=grant_lines(objects, user=user),
        tokens=list(tokens),
    )


def _person_line(user: User) -> PersonLine:
    held = {group.name for group in user.groups.all()}
    return PersonLine(user, tuple(role in held for role in Role))


def _rights(user: User, objects: list[Model]) -> list[RightLine]:
    actor = person(user)
    held = [(permission, reach(actor, permission)) for permission in Permission]
    return [RightLine(right_words(p), p.value, _where(where, objects)) for p, where in held if where]


def _where(held: Reach, objects: list[Model]) -> str:
    if held.everywhere:
        return "Everywhere"
    keys = {Team: held.teams, Workflow: held.workflows}
    return ", ".join(object_words(obj) for obj in objects if obj.pk in keys[type(obj)])
