"""Roles, grants and tokens: who may change them, what is refused, what the audit trail says."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command

from portal.core.access import may
from portal.core.actor import bearer, person
from portal.core.clock import now
from portal.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from portal.core.models import ApiToken, AuditEntry, User, UserGrant
from portal.core.permissions import ROLE_PERMISSIONS, Permission, Role
from portal.core.services.grants import grant_rights, revoke_rights
from portal.core.services.roles import grant_role, revoke_role, sync_roles
from portal.core.services.tokens import create_token, revoke_token
from tests.factories import make_workflow
from tests.personas import Personas, make_user

pytestmark = pytest.mark.django_db
REASON = "Covers for Dana this week"
RIGHTS = {Permission.VIEW_RUN, Permission.RETRY_STEP}


def last_entry() -> AuditEntry:
    return AuditEntry.objects.latest("sequence")


def test_syncing_mends_a_role_and_then_has_nothing_to_do(roles: None, capsys: pytest.CaptureFixture[str]) -> None:
    group = Group.objects.get(name=Role.VIEWER)
    group.permissions.clear()
    call_command("sync_access")
    assert set(group.permissions.values_list("codename", flat=True)) == ROLE_PERMISSIONS[Role.VIEWER]
    assert capsys.readouterr().out == "Roles changed: viewer\n"
    assert sync_roles() == []


def test_a_role_is_given_and_taken_with_a_reason(personas: Personas) -> None:
    admin = personas.actor("admin")
    grant_role(actor=admin, username="viewer", role=Role.OPERATOR, reason=REASON)
    assert may(personas.actor("viewer"), Permission.RETRY_STEP)
    entry = last_entry()
    assert (entry.action, entry.object_label, entry.reason) == ("core.role.grant", "viewer", REASON)
    assert (entry.before, entry.after) == ({"roles": ["viewer"]}, {"roles": ["operator", "viewer"]})
    revoke_role(actor=admin, username="viewer", role=Role.OPERATOR, reason=REASON)
    assert not may(personas.actor("viewer"), Permission.RETRY_STEP)
    assert last_entry().after == {"roles": ["viewer"]}


def test_giving_a_role_twice_does_nothing_the_second_time(personas: Personas) -> None:
    for _ in range(2):
        grant_role(actor=personas.actor("admin"), username="viewer", role=Role.OPERATOR, reason=REASON)
    assert AuditEntry.objects.filter(action="core.role.grant").count() == 1


def test_only_administrators_change_roles_and_say_why(personas: Personas) -> None:
    with pytest.raises(Forbidden):
        grant_role(actor=personas.actor("manager"), username="manager", role=Role.ADMIN, reason=REASON)
    with pytest.raises(InvalidInput):
        grant_role(actor=personas.actor("admin"), username="viewer", role=Role.ADMIN, reason="  because  ")
    with pytest.raises(NotFound):
        grant_role(actor=personas.actor("admin"), username="nobody", role=Role.VIEWER, reason=REASON)


def test_the_last_administrator_stays(personas: Personas) -> None:
    admin = personas.actor("admin")
    with pytest.raises(Conflict, match="last administrator"):
        revoke_role(actor=admin, username="admin", role=Role.ADMIN, reason=REASON)
    gone = make_user("gone", Role.ADMIN)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    with pytest.raises(Conflict):
        revoke_role(actor=admin, username="admin", role=Role.ADMIN, reason=REASON)
    make_user("second", Role.ADMIN)
    revoke_role(actor=admin, username="admin", role=Role.ADMIN, reason=REASON)


def test_rights_on_one_workflow_are_given_until_a_time_and_taken(personas: Personas) -> None:
    admin, workflow = personas.actor("admin"), make_workflow(team=personas.team)
    until = now() + timedelta(days=2)
    grant_rights(actor=admin, holder=personas.outsider, rights=RIGHTS, obj=workflow, reason=REASON, expires_at=until)
    assert may(personas.actor("outsider"), Permission.RETRY_STEP, workflow)
    assert not may(personas.actor("outsider"), Permission.SKIP_STEP, workflow)
    entry = last_entry()
    assert (entry.action, entry.object_type, entry.reason) == ("core.grant.give", "workflow", REASON)
    assert entry.after is not None
    assert entry.after["rights"].keys() == RIGHTS
    revoke_rights(actor=admin, holder=personas.outsider, obj=workflow, reason=REASON)
    assert not may(personas.actor("outsider"), Permission.VIEW_RUN, workflow)
    with pytest.raises(NotFound):
        revoke_rights(actor=admin, holder=personas.outsider, obj=workflow, reason=REASON)


def test_a_second_grant_renews_the_first(personas: Personas) -> None:
    admin = personas.actor("admin")
    for days in (1, 7):
        until = now() + timedelta(days=days)
        grant_rights(
            actor=admin,
            holder=personas.outsider,
            rights=RIGHTS,
            obj=personas.team,
            reason=REASON,
            expires_at=until,
        )
    ends = UserGrant.objects.filter(user=personas.outsider).values_list("expires_at", flat=True)
    assert set(ends) == {until}
    assert len(ends) == len(RIGHTS)


def test_a_role_can_hold_rights_on_a_team(personas: Personas) -> None:
    workflow = make_workflow(team=personas.team)
    viewers = Group.objects.get(name=Role.VIEWER)
    grant_rights(actor=personas.actor("admin"), holder=viewers, rights=RIGHTS, obj=personas.team, reason=REASON)
    assert may(personas.actor("viewer"), Permission.RETRY_STEP, workflow)
    assert not may(personas.actor("outsider"), Permission.RETRY_STEP, workflow)


def test_grants_that_make_no_sense_are_refused(personas: Personas) -> None:
    admin, past = personas.actor("admin"), now() - timedelta(days=1)
    for rights, obj, until in (
        ({Permission.MANAGE_ACCESS}, personas.team, None),
        (set(), personas.team, None),
        (RIGHTS, personas.viewer, None),
        (RIGHTS, personas.team, past),
    ):
        with pytest.raises(InvalidInput):
            grant_rights(actor=admin, holder=personas.viewer, rights=rights, obj=obj, reason=REASON, expires_at=until)
    with pytest.raises(Forbidden):
        grant_rights(
            actor=personas.actor("operator"),
            holder=personas.viewer,
            rights=RIGHTS,
            obj=personas.team,
            reason=REASON,
        )


def test_a_token_is_kept_as_a_digest_and_told_of_without_it(personas: Personas) -> None:
    made = create_token(actor=personas.actor("operator"), name=" ci ", scopes=RIGHTS)
    stored = ApiToken.objects.get()
    assert made.secret.startswith("evk_")
    assert (stored.name, stored.prefix, stored.scopes) == ("ci", made.secret[:10], sorted(RIGHTS))
    assert made.secret.encode() not in bytes(stored.digest)
    assert made.secret not in str(last_entry().after)


def test_a_token_can_have_only_what_its_maker_holds(personas: Personas) -> None:
    with pytest.raises(InvalidInput) as refused:
        create_token(actor=personas.actor("support"), name="", scopes={Permission.MANAGE_ACCESS})
    assert refused.value.fields.keys() == {"name", "scopes"}
    with pytest.raises(Forbidden):
        create_token(actor=personas.actor("viewer"), name="ci", scopes={Permission.VIEW_RUN})


def test_a_token_cannot_make_tokens(personas: Personas) -> None:
    made = create_token(actor=personas.actor("operator"), name="ci", scopes={Permission.MANAGE_OWN_TOKENS})
    with pytest.raises(Forbidden):
        create_token(actor=bearer(made.token), name="second", scopes={Permission.MANAGE_OWN_TOKENS})


def test_a_token_is_revoked_by_its_owner_or_an_administrator_and_by_nobody_else(personas: Personas) -> None:
    own = create_token(actor=personas.actor("operator"), name="ci", scopes=RIGHTS).token
    with pytest.raises(NotFound):
        revoke_token(actor=person(personas.support), token_id=own.pk)
    revoke_token(actor=personas.actor("admin"), token_id=own.pk, reason="The laptop was stolen")
    own.refresh_from_db()
    assert own.revoked_at is not None
    revoke_token(actor=personas.actor("operator"), token_id=own.pk)
    assert AuditEntry.objects.filter(action="core.token.revoke").count() == 1
