"""One person per role, somebody with rights on one team only, and an outsider."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Group
from django.contrib.auth.models import Permission as DjangoPermission
from django.contrib.contenttypes.models import ContentType
from django.test import Client

from portal.core.actor import Actor, person
from portal.core.clock import now
from portal.core.models import Team, User, UserGrant
from portal.core.permissions import OBJECT_PERMISSIONS, ROLE_PERMISSIONS, Role
from portal.core.services.roles import sync_roles

PASSWORD = "correct horse battery staple"
# Argon2's hash of PASSWORD would cost every test a tenth of a second; force_login needs none.
_UNUSABLE = "!"


def make_user(username: str, *roles: Role) -> User:
    """Return a person with these roles. Roles must have been synced (fixture ``roles``)."""
    user = User.objects.create(username=username, first_name=username.capitalize(), password=_UNUSABLE)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def grant_on_team(user: User, team: Team, role: Role = Role.OPERATOR) -> None:
    """Give ``user`` the role's rights on the workflows of ``team`` only."""
    content_type = ContentType.objects.get_for_model(Team)
    at = now()
    wanted = ROLE_PERMISSIONS[role] & OBJECT_PERMISSIONS
    UserGrant.objects.bulk_create(
        UserGrant(
            user=user,
            permission=permission,
            content_type=content_type,
            object_pk=str(team.pk),
            granted_at=at,
            granted_by="tests",
            reason="needed by a test",
        )
        for permission in DjangoPermission.objects.filter(content_type=content_type, codename__in=wanted)
    )


@dataclass(frozen=True, slots=True)
class Personas:
    """The people of the RBAC matrix. ``team_operator`` has an operator's rights on ``team`` and nothing else."""

    viewer: User
    support: User
    operator: User
    manager: User
    admin: User
    team_operator: User
    outsider: User
    team: Team

    def actor(self, name: str) -> Actor:
        """Return the actor for the persona of this name."""
        return person(getattr(self, name), origin="tests")

    def client(self, name: str) -> Client:
        """Return a browser in which the persona of this name is signed in."""
        client = Client()
        client.force_login(getattr(self, name), backend="django.contrib.auth.backends.ModelBackend")
        return client


@pytest.fixture
def roles(db: None) -> None:
    """The five roles, with their rights."""
    sync_roles()


@pytest.fixture
def personas(roles: None) -> Personas:
    """One person per role, one with rights on the team "finance-operations" only, and an outsider."""
    team = Team.objects.get_or_create(slug="finance-operations", defaults={"name": "Finance operations"})[0]
    users = {role.value: make_user(role.value, role) for role in Role}
    team_operator = make_user("team_operator")
    grant_on_team(team_operator, team)
    return Personas(**users, team_operator=team_operator, outsider=make_user("outsider"), team=team)
