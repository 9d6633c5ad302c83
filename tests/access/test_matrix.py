"""Every address of the portal, asked for by every kind of person, against one table."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client
from django.urls import reverse

from portal.core.actor import SYSTEM
from portal.core.audit import record
from portal.core.ids import uuid7
from portal.core.models import ApiToken, AuditEntry, User
from portal.core.permissions import OBJECT_PERMISSIONS, ROLE_PERMISSIONS, Permission, Role
from tests.access.table import PUBLIC, ROWS, Row
from tests.access.walk import Address, addresses
from tests.bulk.help import begin
from tests.deadletters.shop import make_letter, subscriber
from tests.factories import make_dependency, make_lock, make_run, make_schedule, make_team, make_workflow
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.models import BulkOperation, DeadLetter, Dependency, Run, Workflow

pytestmark = pytest.mark.django_db
PEOPLE = [*Role, "team_operator", "outsider"]
LET_IN = {200, 201, 202, 204, 302, 303, 400, 409, 422, 503}
SEEING = {Permission.VIEW_RUN, Permission.VIEW_WORKFLOW}
BODY = {"reason": "Trying it on"}
HTMX = {"HX-Request": "true"}  # a fragment: quicker than a page, and guarded by the same decorator


@dataclass(frozen=True, slots=True)
class World:
    """What the names in a path stand for: a run of one's own team, and one of another."""

    personas: Personas
    run: Run
    dependency: Dependency
    foreign_run: Run
    letter: DeadLetter
    foreign_letter: DeadLetter
    entry: AuditEntry
    operation: BulkOperation

    def path(self, address: Address, row: Row, **about: str) -> str:
        """Return an address of something that exists."""
        names = {
            "run_id": str(self.run.pk),
            "slug": self.run.workflow.slug,
            "name": self.dependency.name,
            "step": self.run.current_step or "charge",
            "username": "viewer",
            "role": "viewer",
            "entry_id": str(self.entry.pk),
            "letter_id": str(self.letter.pk),
            "inbox_id": str(self.letter.inbox_id),
            "token_id": str(uuid7()),
            "view_id": str(uuid7()),
            "operation_id": str(self.operation.pk),
            "number": "3",
            "key": "ledger:client-17",
            "schedule": "main",
        }
        names |= row.about | about
        if "rest" in address.arguments:
            return "/api/v1/nowhere/"
        return reverse(address.name, kwargs={name: names[name] for name in address.arguments})


@pytest.fixture
def world(personas: Personas, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("portal.demo.services.experiments.CATCH_SECONDS", 0.0)  # there is no worker to catch
    other = make_workflow(slug="conveyancing", team=make_team("legal"))
    dependency = Dependency.objects.first() or make_dependency("payments-gateway")
    run = make_run(make_workflow(team=personas.team), status=RunStatus.FAILED)
    make_lock("ledger:client-17", run)
    make_schedule(run.workflow)
    foreign = make_run(other, status=RunStatus.FAILED)
    subscriber()
    letter, foreign_letter = (make_letter(workflow=each.workflow) for each in (run, foreign))
    entry = record(actor=SYSTEM, action="tests.world.made")
    operation = begin(personas.actor("team_operator"))
    return World(personas, run, dependency, foreign, letter, foreign_letter, entry, operation)


def rights_of(name: str) -> frozenset[Permission]:
    if name == "outsider":
        return frozenset()
    if name == "team_operator":
        return ROLE_PERMISSIONS[Role.OPERATOR] & OBJECT_PERMISSIONS
    return ROLE_PERMISSIONS[Role(name)]


def expected(name: str, address: Address, row: Row) -> set[int]:
    """What the table says that the person of this name gets."""
    held = rights_of(name)
    if row.right in (None, PUBLIC) or row.right in held:
        return LET_IN | {404} if row.misses else LET_IN
    sees_nothing = not held & SEEING
    return {404} if address.arguments and sees_nothing else {403}


def rows() -> list[tuple[Address, Row]]:
    return [(address, ROWS[address.name]) for address in addresses() if address.name in ROWS]


def token_of(user: User) -> str:
    """Return the id of a new token of this person: what they revoke must be there."""
    digest = hashlib.sha256(uuid7().bytes).digest()
    return str(ApiToken.objects.create(owner=user, name="ci", prefix="evk_", digest=digest).pk)


def ask(client: Client, method: str, path: str, body: dict[str, str] | None = None, *, headers: Any = None) -> Any:
    """Send a request with a form, or with JSON to the API."""
    content = {"content_type": "application/json"} if path.startswith("/api/") and method == "post" else {}
    return getattr(client, method)(path, body or {}, headers=headers, **content)


def sent_to_login(answer: HttpResponseBase) -> bool:
    return answer.status_code == 302 and answer["Location"].startswith("/login/")


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert {address.name for address in addresses()} == ROWS.keys()


def test_every_view_says_what_the_table_says() -> None:
    said = {
        address.name: PUBLIC if address.is_public else address.guard
        for address, _ in rows()
        if not isinstance(address.guard, dict)
    }
    assert said == {name: ROWS[name].right for name in said}


@pytest.mark.parametrize("name", PEOPLE)
def test_each_person_gets_what_the_table_says(world: World, name: str) -> None:
    client, user = world.personas.client(name), getattr(world.personas, name)
    wrong = []
    for address, row in rows():
        if address.name in {"login", "logout"}:
            continue
        for method in row.methods:
            about = {"token_id": token_of(user)} if "token_id" in address.arguments else {}
            path = world.path(address, row, **about)
            answer = ask(client, method, path, headers=HTMX)
            if sent_to_login(answer) or answer.status_code not in expected(name, address, row):
                wrong.append(f"{method} {path}: {answer.status_code}, not {expected(name, address, row)}")
    assert wrong == []


def test_nobody_gets_anything_without_signing_in(world: World) -> None:
    wrong = []
    for address, row in rows():
        for method in row.methods:
            answer = ask(Client(), method, world.path(address, row))
            is_shut = answer.status_code == 401 if address.is_api else sent_to_login(answer)
            if is_shut == (row.right == PUBLIC):
                wrong.append(f"{method} {address.route}: {answer.status_code}")
    assert wrong == []


def test_what_another_team_owns_cannot_be_told_from_what_does_not_exist(world: World) -> None:
    client = world.personas.client("team_operator")
    foreign = {
        "run_id": str(world.foreign_run.pk),
        "slug": world.foreign_run.workflow.slug,
        "letter_id": str(world.foreign_letter.pk),
        "inbox_id": str(world.foreign_letter.inbox_id),
    }
    nothing = {name: "no-such-workflow" if name == "slug" else str(uuid7()) for name in foreign}
    wrong = []
    for address, row in rows():
        if row.about or not foreign.keys() & set(address.arguments):
            continue
        for method in row.methods:
            answers = [
                ask(client, method, world.path(address, row, **about), BODY if method == "post" else {}, headers=HTMX)
                for about in (foreign, nothing)
            ]
            # Some commands look at the form first; that tells nothing about the run either.
            if [answer.status_code for answer in answers] not in ([404, 404], [422, 422]):
                wrong.append(f"{method} {address.route}: {[answer.status_code for answer in answers]}")
    assert wrong == []
    assert Workflow.objects.filter(pk=world.foreign_run.workflow_id).exists()


@pytest.mark.parametrize("has_scope", [True, False])
def test_a_token_opens_exactly_what_its_scopes_name(world: World, has_scope: bool) -> None:
    wrong = []
    for address, row in rows():
        if not address.is_api or not isinstance(row.right, Permission):
            continue
        scopes = SEEING | {row.right} if has_scope else SEEING - {row.right}
        secret = f"evk_{address.name}"
        digest = hashlib.sha256(secret.encode()).digest()
        ApiToken.objects.create(owner=world.personas.admin, name="ci", digest=digest, scopes=sorted(scopes))
        answer = ask(
            Client(), row.methods[0], world.path(address, row), headers={"Authorization": f"Bearer {secret}"}
        )
        if (answer.status_code in LET_IN) != has_scope:
            wrong.append(f"{row.methods[0]} {address.route}: {answer.status_code}")
    assert wrong == []
