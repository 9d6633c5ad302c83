"""What the demo's commands say and do."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from portal.core.access import may
from portal.core.actor import person
from portal.core.models import User
from portal.core.permissions import Permission, Role
from portal.demo.people import DEMO_PASSWORD, PEOPLE
from workflows.models import Run
from workflows.services import register_workflows

pytestmark = pytest.mark.django_db
INVOICE = {
    "invoice_number": "INV-2026-00412",
    "client_id": "kestrel-logistics",
    "amount": "120.00",
    "card_token": "tok_visa_4242",
    "receipt_to": "accounts@kestrel.example",
}


def said(*command: str) -> str:
    output = StringIO()
    call_command(*command, stdout=output)
    return output.getvalue()


def test_seeding_makes_one_person_a_role_who_can_sign_in(roles: None) -> None:
    assert "5 people made" in said("seed_demo", "--people-only")
    users = User.objects.in_bulk([someone.username for someone in PEOPLE], field_name="username")
    assert {name: [g.name for g in user.groups.all()] for name, user in users.items()} == {
        role.value: [role.value] for role in Role
    }
    assert users["support"].check_password(DEMO_PASSWORD)
    assert may(person(User.objects.get(username="support")), Permission.OPERATE_SANDBOX)
    assert not may(person(User.objects.get(username="viewer")), Permission.START_RUN)


def test_seeding_again_keeps_a_changed_password(roles: None) -> None:
    said("seed_demo", "--people-only")
    user = User.objects.get(username="admin")
    user.set_password("something of my own")
    user.save()
    assert "0 people made" in said("seed_demo", "--people-only")
    user.refresh_from_db()
    assert user.check_password("something of my own")


def test_known_passwords_are_refused_outside_the_demo(roles: None, settings: Settings) -> None:
    settings.DEMO = False
    with pytest.raises(CommandError, match="where DEMO is true"):
        said("seed_demo", "--people-only")
    assert not User.objects.exists()


def test_the_history_needs_the_workflows(roles: None) -> None:
    with pytest.raises(CommandError, match="register_workflows"):
        said("seed_demo")


def test_a_run_is_started_once_per_key(tmp_path: Path) -> None:
    register_workflows()
    file = tmp_path / "invoice.json"
    file.write_text(json.dumps(INVOICE))
    assert " started" in said("start_run", "settle-invoice", "--input", f"@{file}", "--key", "k")
    assert "was started before" in said("start_run", "settle-invoice", "--input", json.dumps(INVOICE), "--key", "k")
    assert Run.objects.get().started_by == "Evenkeel"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("@/nowhere", "Cannot read /nowhere"),
        ('{"amount": "-1"}', "invoice_number: Field required"),
    ],
)
def test_a_wrong_input_is_told(text: str, problem: str) -> None:
    register_workflows()
    with pytest.raises(CommandError, match=problem):
        said("start_run", "settle-invoice", "--input", text)


def test_a_run_can_be_started_with_the_rights_of_a_person(roles: None) -> None:
    said("seed_demo", "--people-only")
    register_workflows()
    arguments = ("start_run", "settle-invoice", "--input", json.dumps(INVOICE))
    with pytest.raises(CommandError, match="needs the right to start run"):
        said(*arguments, "--as", "viewer")
    said(*arguments, "--as", "support")
    assert Run.objects.get().started_by == "Sam Okafor"
    with pytest.raises(CommandError, match="nobody called nobody"):
        said(*arguments, "--as", "nobody")
