"""Adding people, switching them off, and one's own password."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from portal.core.access import may
from portal.core.actor import SYSTEM, person
from portal.core.errors import Conflict, Forbidden
from portal.core.models import AuditEntry, User
from portal.core.permissions import Permission, Role
from portal.core.services.people import add_person, switch_person
from portal.core.services.roles import administrators, revoke_role
from tests.personas import Personas, make_user

pytestmark = pytest.mark.django_db
REASON = "Joins the settlements team"
NEW = {"username": "dana", "full_name": "Dana Meyer Okafor", "email": "dana@example.org", "roles": ["operator"]}


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_a_new_person_can_sign_in_with_the_password_that_is_shown_once(personas: Personas) -> None:
    admin = personas.client("admin")
    page = admin.post("/access/new-person/", {**NEW, "reason": REASON})
    password = text(page).partition('data-copy="')[2].partition('"')[0]
    assert "no-store" in page["Cache-Control"]
    answer = Client().post("/login/", {"username": "dana", "password": password})
    assert answer.status_code == 302
    dana = User.objects.get(username="dana")
    assert (dana.get_full_name(), dana.email) == ("Dana Meyer Okafor", "dana@example.org")
    assert may(person(dana), Permission.RETRY_STEP)
    entry = AuditEntry.objects.get(action="core.person.add")
    assert (entry.reason, entry.object_label) == (REASON, "dana")
    assert password not in str(entry.after)


@pytest.mark.parametrize("username", ["viewer", "VIEWER", "two words", ""])
def test_a_name_that_is_taken_or_malformed_is_told_at_the_field(personas: Personas, username: str) -> None:
    answer = personas.client("admin").post("/access/new-person/", {**NEW, "username": username, "reason": REASON})
    assert answer.status_code == 422
    assert 'id="id_username_error"' in text(answer)


def test_switching_off_ends_sessions_and_switching_on_lets_in_again(personas: Personas) -> None:
    admin, viewer = personas.client("admin"), personas.client("viewer")
    assert "Switch the account of Viewer off?" in text(admin.get("/access/people/viewer/off/"))
    admin.post("/access/people/viewer/off/", {"reason": "Left the company in May"})
    assert viewer.get("/help/").status_code == 302
    assert "Switch on…" in text(admin.get("/access/people/viewer/"))
    admin.post("/access/people/viewer/on/", {"reason": "Came back to the company"})
    assert personas.client("viewer").get("/help/").status_code == 200
    actions = AuditEntry.objects.filter(object_label="viewer").order_by("sequence")
    assert [entry.action for entry in actions] == ["core.person.switch_off", "core.person.switch_on"]


def test_the_last_administrator_stays_on(personas: Personas) -> None:
    answer = personas.client("admin").post("/access/people/admin/off/", {"reason": REASON})
    assert answer.status_code == 409
    with pytest.raises(Forbidden):
        switch_person(actor=personas.actor("manager"), username="viewer", on=False, reason=REASON)


def test_a_password_is_changed_with_the_present_one_and_other_sessions_end(personas: Personas) -> None:
    made = add_person(actor=SYSTEM, username="dana", reason=REASON)
    here, elsewhere = Client(), Client()
    for client in (here, elsewhere):
        client.post("/login/", {"username": "dana", "password": made.password})
    wrong = here.post("/preferences/password/", {"old": "guess", "new": "a long and winding road"})
    assert "This is not your present password." in text(wrong)
    weak = here.post("/preferences/password/", {"old": made.password, "new": "password"})
    assert weak.status_code == 422
    right = here.post("/preferences/password/", {"old": made.password, "new": "a long and winding road"})
    assert right.status_code == 303
    assert here.get("/help/").status_code == 200
    assert elsewhere.get("/help/").status_code == 302
    assert AuditEntry.objects.filter(action="core.password.change").count() == 1


def test_the_command_adds_the_first_administrator(roles: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("add_person", "alice", role=["admin"], name="Alice Ward")
    assert "First password, shown only now:" in capsys.readouterr().out
    assert may(person(User.objects.get(username="alice")), Permission.MANAGE_ACCESS)
    with pytest.raises(CommandError, match="already"):
        call_command("add_person", "alice")


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_remove_each_other_at_once(roles: None) -> None:
    names = [make_user(name, Role.ADMIN).username for name in ("alice", "bob")]
    refused: list[str] = []

    def remove(name: str) -> None:
        try:
            if name == "alice":
                revoke_role(actor=SYSTEM, username=name, role=Role.ADMIN, reason=REASON)
            else:
                switch_person(actor=SYSTEM, username=name, on=False, reason=REASON)
        except Conflict:
            refused.append(name)
        finally:
            connection.close()

    threads = [threading.Thread(target=remove, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert administrators().count() == 1
