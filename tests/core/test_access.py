"""Who may do what, where and until when; an outsider learns nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from portal.core.access import AccessScope, authorise, may, reach, within_reach
from portal.core.actor import SYSTEM, bearer, person
from portal.core.clock import now
from portal.core.errors import Forbidden, NotFound
from portal.core.models import ApiToken, User, UserGrant
from portal.core.permissions import ROLE_PERMISSIONS, Permission, Role
from tests.factories import make_team, make_workflow
from tests.personas import Personas, grant_on_team, make_user
from workflows.models import Workflow


def test_a_role_holds_exactly_its_rights_everywhere(personas: Personas) -> None:
    for role in Role:
        actor = personas.actor(role)
        held = {p for p in Permission if reach(actor, p).everywhere}
        assert held == ROLE_PERMISSIONS[role]


def test_a_team_grant_reaches_the_workflows_of_that_team_only(personas: Personas) -> None:
    ours = make_workflow(team=personas.team)
    theirs = make_workflow(slug="other", team=make_team("legal"))
    actor = personas.actor("team_operator")
    assert may(actor, Permission.RETRY_STEP, ours)
    assert not may(actor, Permission.RETRY_STEP, theirs)
    assert list(Workflow.objects.filter(within_reach(actor, Permission.VIEW_RUN, workflow=""))) == [ours]


def test_rights_of_the_whole_portal_cannot_be_held_on_a_team(personas: Personas) -> None:
    grant_on_team(personas.outsider, personas.team, Role.ADMIN)
    actor = personas.actor("outsider")
    assert may(actor, Permission.VIEW_RUN)
    assert not may(actor, Permission.MANAGE_ACCESS)
    assert not may(actor, Permission.VIEW_AUDIT)


def test_an_outsider_gets_not_found_and_an_insider_forbidden(personas: Personas) -> None:
    workflow = make_workflow(team=personas.team)
    with pytest.raises(NotFound):
        authorise(personas.actor("outsider"), Permission.RETRY_STEP, workflow)
    with pytest.raises(Forbidden) as refused:
        authorise(personas.actor("viewer"), Permission.RETRY_STEP, workflow)
    assert refused.value.context == {"permission": "retry_step", "owner": personas.team.name}


def test_a_grant_counts_for_nothing_once_it_has_expired(personas: Personas) -> None:
    workflow = make_workflow(team=personas.team)
    UserGrant.objects.filter(user=personas.team_operator).update(expires_at=now() + timedelta(hours=1))
    assert may(personas.actor("team_operator"), Permission.VIEW_RUN, workflow)
    UserGrant.objects.filter(user=personas.team_operator).update(expires_at=now() - timedelta(seconds=1))
    assert not may(personas.actor("team_operator"), Permission.VIEW_RUN, workflow)


def test_a_token_has_the_rights_of_its_owner_within_its_scopes(personas: Personas) -> None:
    token = ApiToken(owner=personas.viewer, name="ci", scopes=["view_run", "retry_step"])
    actor = bearer(token)
    assert may(actor, Permission.VIEW_RUN)
    assert not may(actor, Permission.RETRY_STEP)  # in scope, but not the owner's right
    assert not may(actor, Permission.VIEW_WORKFLOW)  # the owner's right, but not in scope


def test_superusers_and_the_portal_itself_may_everything_and_inactive_people_nothing(roles: None) -> None:
    root = User(username="root", is_superuser=True)
    gone = make_user("gone", Role.ADMIN)
    gone.is_active = False
    for permission in Permission:
        assert may(person(root), permission, AccessScope())
        assert may(SYSTEM, permission, AccessScope())
        assert not may(person(gone), permission)


def test_all_rights_of_an_actor_cost_one_query(
    personas: Personas, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    actor = personas.actor("team_operator")
    with django_assert_num_queries(1):
        for permission in Permission:
            reach(actor, permission)
