"""Who holds what, through which role or grant, and why somebody may or may not do something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from portal.core import clock
from portal.core.access import AccessScope, Scoped, may
from portal.core.actor import person
from portal.core.models import GroupGrant, Team, User, UserGrant
from portal.core.moments import absolute_words
from portal.core.permissions import OBJECT_PERMISSIONS, ROLE_PERMISSIONS, Permission, Role


@dataclass(frozen=True, slots=True)
class GrantLine:
    """Rights that were given together: to whom, on what, why and until when.

    ``holder_key`` is "person:<user name>" or "role:<name>", ``object_key`` "team:<pk>" or "workflow:<pk>".
    """

    holder: str
    holder_key: str
    obj: str
    object_key: str
    reason: str
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None
    rights: frozenset[Permission] = frozenset()

    @property
    def is_expired(self) -> bool:
        """Whether it counts for nothing any more."""
        return self.expires_at is not None and self.expires_at <= clock.now()

    @property
    def words(self) -> str:
        """What it allows: the name of a role if it is just that role's rights."""
        for role in Role:
            if self.rights == object_rights(role):
                return f"All that {role} may"
        return ", ".join(sorted(right_words(right) for right in self.rights))


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether somebody may do something, what it follows from, and what would change it."""

    allowed: bool
    because: list[str]
    instead: list[str]


def object_rights(role: Role) -> frozenset[Permission]:
    """Return the rights of a role that can be held on one team or workflow."""
    return ROLE_PERMISSIONS[role] & OBJECT_PERMISSIONS


def right_words(permission: Permission) -> str:
    """Return a right as words: "Retry step"."""
    return permission.replace("_", " ").capitalize()


def object_words(obj: Model) -> str:
    """Return what a team or workflow is called."""
    return str(getattr(obj, "title", obj))


def grant_lines(objects: Iterable[Model], *, user: User | None = None) -> list[GrantLine]:
    """Return the grants on these teams and workflows, those in force first; or only one person's own.

    One query for the grants of people and one for those of roles.
    """
    named = {(ContentType.objects.get_for_model(obj).pk, str(obj.pk)): obj for obj in objects}
    lines: dict[GrantLine, set[Permission]] = defaultdict(set)
    for grant in _grants(user):
        obj = named.get((grant.content_type_id, grant.object_pk))
        if obj is not None:
            lines[_line(grant, obj)].add(Permission(grant.permission.codename))
    found = [replace(line, rights=frozenset(rights)) for line, rights in lines.items()]
    return sorted(found, key=lambda line: (line.is_expired, line.holder, line.obj, line.granted_at))


def explain(user: User, permission: Permission, obj: Model) -> Explanation:
    """Say why ``user`` may, or may not, do something on ``obj`` (a team or a workflow)."""
    scope = obj.access_scope if isinstance(obj, Scoped) else AccessScope(team_id=obj.pk)
    allowed = may(person(user), permission, scope)
    because = [*_everywhere(user, permission), *_through_grants(user, permission, obj)]
    if not user.is_active:
        because.append("The account is switched off, so it may do nothing.")
    elif not allowed:
        because.append("Neither a role nor a grant in force gives this right here.")
    return Explanation(allowed, because, [] if allowed else list(_ways(permission, obj)))


def _grants(user: User | None) -> Iterator[UserGrant | GroupGrant]:
    of_people = UserGrant.objects.select_related("permission", "user")
    yield from of_people.filter(user=user) if user else of_people
    if user is None:
        yield from GroupGrant.objects.select_related("permission", "group")


def _line(grant: UserGrant | GroupGrant, obj: Model) -> GrantLine:
    if isinstance(grant, UserGrant):
        name = grant.user.get_username()
        holder, holder_key = grant.user.get_full_name() or name, f"person:{name}"
    else:
        holder, holder_key = f"Everybody with the role {grant.group.name}", f"role:{grant.group.name}"
    return GrantLine(
        holder=holder,
        holder_key=holder_key,
        obj=object_words(obj),
        object_key=f"{obj._meta.model_name}:{obj.pk}",
        reason=grant.reason,
        granted_by=grant.granted_by,
        granted_at=grant.granted_at,
        expires_at=grant.expires_at,
    )


def _everywhere(user: User, permission: Permission) -> Iterator[str]:
    if user.is_superuser:
        yield "A superuser holds every right."
    right = DjangoPermission.objects.filter(
        content_type__app_label="core", content_type__model="team", codename=permission
    )
    for name in Group.objects.filter(user=user, permissions__in=right).values_list("name", flat=True):
        yield f"The role {name} gives it everywhere."
    if user.user_permissions.filter(pk__in=right).exists():
        yield "The account itself was given it everywhere."


def _through_grants(user: User, permission: Permission, obj: Model) -> Iterator[str]:
    team = getattr(obj, "team", None)
    holders = {f"person:{user.get_username()}"}
    holders |= {f"role:{name}" for name in user.groups.values_list("name", flat=True)}
    for line in grant_lines([obj, team] if team else [obj]):
        if line.holder_key in holders and permission in line.rights:
            yield _told(line)


def _told(line: GrantLine) -> str:
    kind = line.object_key.partition(":")[0]
    to = "" if line.holder_key.startswith("person:") else f" to {line.holder[0].lower()}{line.holder[1:]}"
    given = f"{line.obj} (a {kind}), given{to} by {line.granted_by} on {absolute_words(line.granted_at)}"
    if line.is_expired and line.expires_at:
        return f"A grant on {given}, ran out on {absolute_words(line.expires_at)}."
    until = f" until {absolute_words(line.expires_at)}" if line.expires_at else ""
    return f"A grant on {given}{until}. Reason: {line.reason}"


def _ways(permission: Permission, obj: Model) -> Iterator[str]:
    roles = [role.value for role in Role if permission in ROLE_PERMISSIONS[role]]
    yield f"It comes with the role {' or '.join(roles)}."
    team = getattr(obj, "team", None)
    if permission not in OBJECT_PERMISSIONS:
        yield "It is a right on the whole portal and cannot be given on one team or workflow."
    elif isinstance(obj, Team) or team is None:
        yield f"It can be given on {object_words(obj)}."
    else:
        yield f"It can be given on {object_words(obj)}, or on all workflows of {team}."
