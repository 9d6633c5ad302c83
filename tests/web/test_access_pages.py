"""Who may do what, in the browser: the book of access, why, giving and taking, tokens, preferences."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from portal.core.access import may
from portal.core.clock import now
from portal.core.models import ApiToken, AuditEntry, UserGrant
from portal.core.permissions import Permission, Role
from portal.core.queries.access import explain
from tests.factories import make_team, make_workflow
from tests.personas import Personas, make_user

pytestmark = pytest.mark.django_db
REASON = "Covers for Dana this week"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def client(personas: Personas) -> Client:
    return personas.client("admin")


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_the_book_lists_people_roles_and_grants(
    personas: Personas, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_workflow(team=personas.team)
    for number in range(20):
        make_user(f"person{number}", Role.VIEWER)
    UserGrant.objects.filter(user=personas.team_operator).update(expires_at=now() - timedelta(days=1))
    with django_assert_max_num_queries(12):
        page = text(client.get("/access/"))
    assert "Person19" in page
    assert "All that operator may" in page
    assert "Ran out" in page
    assert "needed by a test" in page
    assert "Person19" not in text(client.get("/access/?q=viewer"))


def test_a_manager_reads_the_book_and_changes_nothing(personas: Personas) -> None:
    client = personas.client("manager")
    for address in ("/access/", "/access/people/viewer/"):
        page = text(client.get(address))
        assert "/grant" not in page
        assert "/revoke" not in page
    assert client.get("/access/grants/new/", headers=HTMX).status_code == 403
    assert personas.client("operator").get("/access/", headers=HTMX).status_code == 403


def test_a_persons_page_says_what_they_may_do_and_where(
    personas: Personas, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_workflow(team=personas.team)
    with django_assert_max_num_queries(15):
        page = text(client.get("/access/people/team_operator/"))
    assert "Finance operations" in page
    assert "Skip step" in page
    assert client.get("/access/people/nobody/", headers=HTMX).status_code == 404


def test_a_role_is_given_and_taken_with_a_reason(personas: Personas, client: Client) -> None:
    address = "/access/people/viewer/roles/operator/grant/"
    dialog = text(client.get(address, headers=HTMX))
    assert "Give Viewer the role operator?" in dialog
    assert "<html" not in dialog
    refused = client.post(address, {"reason": "short"}, headers=HTMX)
    assert refused.status_code == 422
    assert "at least 10 characters" in text(refused)
    answer = client.post(address, {"reason": REASON})
    assert (answer.status_code, answer["Location"]) == (303, "/access/people/viewer/")
    assert may(personas.actor("viewer"), Permission.RETRY_STEP)
    client.post("/access/people/viewer/roles/operator/revoke/", {"reason": REASON})
    assert not may(personas.actor("viewer"), Permission.RETRY_STEP)
    assert AuditEntry.objects.filter(reason=REASON).count() == 2


def test_taking_the_last_administrators_role_says_why_not(personas: Personas, client: Client) -> None:
    answer = client.post("/access/people/admin/roles/admin/revoke/", {"reason": REASON}, headers=HTMX)
    assert answer.status_code == 409
    assert "last administrator" in text(answer)


def test_rights_on_a_workflow_are_given_and_taken(personas: Personas, client: Client) -> None:
    workflow = make_workflow(team=personas.team)
    form = {
        "holder": "person:outsider",
        "on": f"workflow:{workflow.pk}",
        "rights": "right:view_run",
        "expires_at": (now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M"),
        "reason": REASON,
    }
    assert client.post("/access/grants/new/", form).status_code == 303
    assert may(personas.actor("outsider"), Permission.VIEW_RUN, workflow)
    address = f"/access/grants/revoke/?holder=person:outsider&on=workflow:{workflow.pk}"
    assert "Take the rights on" in text(client.get(address, headers=HTMX))
    client.post(address, {"reason": REASON})
    assert not may(personas.actor("outsider"), Permission.VIEW_RUN, workflow)


def test_a_grant_to_a_role_and_the_forms_refusals(personas: Personas, client: Client) -> None:
    workflow = make_workflow(team=personas.team)
    form = {"holder": "role:viewer", "on": f"team:{personas.team.pk}", "rights": "role:operator", "reason": REASON}
    past = client.post("/access/grants/new/", {**form, "expires_at": "2020-01-01T00:00"})
    assert past.status_code == 422
    assert "Choose an end that lies ahead." in text(past)
    assert client.post("/access/grants/new/", {**form, "on": "team:999"}).status_code == 422
    assert client.post("/access/grants/new/", form).status_code == 303
    assert may(personas.actor("viewer"), Permission.RETRY_STEP, workflow)


@pytest.mark.parametrize("name", ["viewer", "operator", "admin", "team_operator", "outsider"])
@pytest.mark.parametrize("right", [Permission.VIEW_RUN, Permission.RETRY_STEP, Permission.VIEW_AUDIT])
def test_an_explanation_agrees_with_the_decision(personas: Personas, name: str, right: Permission) -> None:
    ours, theirs = make_workflow(team=personas.team), make_workflow(slug="other", team=make_team("legal"))
    for workflow in (ours, theirs):
        answer = explain(getattr(personas, name), right, workflow)
        assert answer.allowed == may(personas.actor(name), right, workflow)
        assert answer.because
        assert bool(answer.instead) != answer.allowed


def test_why_they_may_or_may_not_is_told_in_sentences(personas: Personas, client: Client) -> None:
    workflow = make_workflow(team=personas.team)
    query = f"right=retry_step&on=workflow:{workflow.pk}"
    assert "The role operator gives it everywhere." in text(client.get(f"/access/?person=operator&{query}"))
    through_grant = text(client.get(f"/access/?person=team_operator&{query}"))
    assert "A grant on Finance operations (a team), given by tests" in through_grant
    no = text(client.get(f"/access/?person=viewer&{query}"))
    assert "No: Viewer may not retry step" in no
    assert "It comes with the role operator or admin." in no


def test_a_token_is_shown_once(personas: Personas) -> None:
    client = personas.client("operator")
    answer = client.post("/access/tokens/", {"name": "ci", "lives": "30", "scopes": ["view_run"]})
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    secret = text(answer).partition('data-copy="')[2].partition('"')[0]
    assert secret.startswith(token.prefix)
    assert "no-store" in answer["Cache-Control"]
    assert secret not in text(client.get("/access/tokens/"))
    client.post(f"/access/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at is not None


def test_tokens_with_nothing_or_too_much_are_refused(personas: Personas) -> None:
    client = personas.client("support")
    assert client.post("/access/tokens/", {"name": "", "lives": "30"}).status_code == 422
    too_much = {"name": "ci", "lives": "30", "scopes": ["manage_access"]}
    assert client.post("/access/tokens/", too_much).status_code == 422
    assert personas.client("viewer").get("/access/tokens/", headers=HTMX).status_code == 403
    assert not ApiToken.objects.exists()


def test_preferences_stay_with_the_account(personas: Personas) -> None:
    client = personas.client("outsider")
    wanted = {"theme": "dark", "density": "compact", "time_zone": "Europe/Paris"}
    assert client.post("/preferences/", wanted).status_code == 303
    personas.outsider.refresh_from_db()
    user = personas.outsider
    assert (user.theme, user.density, user.time_zone) == ("dark", "compact", "Europe/Paris")
    assert not user.single_key_shortcuts
    assert client.post("/preferences/", {**wanted, "time_zone": "Mars/Base"}).status_code == 422
