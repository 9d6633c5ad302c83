"""Dead letters through the API: the same filters, services and rights as on the pages."""

from __future__ import annotations

import pytest

from portal.core.models import AuditEntry
from portal.core.permissions import Permission
from tests.api.client import Api
from tests.deadletters.shop import make_letter, make_missed
from tests.factories import make_heartbeat
from tests.personas import Personas
from workflows.deadletters.services import edit_and_replay_dead_letter
from workflows.models import DeadLetter
from workflows.redaction import HIDDEN

pytestmark = pytest.mark.django_db
REASON = "The client is in the register now"
COMMANDS = ["replay", "edit-and-replay", "discard", "restore"]


def body(letter: DeadLetter, command: str) -> dict[str, object]:
    extra = {"payload": letter.payload | {"client": "client-9"}} if command == "edit-and-replay" else {}
    return {"reason": REASON, "expected_revision": letter.replay_count, **extra}


def test_the_list_takes_the_filters_of_the_page(personas: Personas) -> None:
    letter, gone = make_letter(), make_letter(status="replayed")
    api = Api(personas.viewer)
    for query, found in (({}, [letter]), ({"status": "any"}, [gone, letter]), ({"q": letter.message.key}, [letter])):
        assert [each["id"] for each in api.get("/dead-letters/", query).json["results"]] == [str(f.pk) for f in found]
    assert api.get("/dead-letters/", {"stauts": "any"}).problem == (422, "invalid-input")
    assert Api(personas.team_operator).get("/dead-letters/").json["results"] == []


def test_one_letter_tells_what_does_not_fit(personas: Personas) -> None:
    letter = make_letter(payload={"amount": "0.00"})
    answer = Api(personas.operator).get(f"/dead-letters/{letter.pk}/").json
    assert answer["problems"] == {"payload.amount": ["Input should be greater than 0"]}
    assert (answer["event"], answer["subscriber"], answer["revision"]) == ("test.received", "test-book-payment", 0)
    assert answer["payload"] == letter.payload


def test_sensitive_values_need_the_right_and_the_scope(personas: Personas) -> None:
    letter = make_letter(payload={"amount": "0.00"})
    changed = letter.payload | {"amount": "3.00", "iban": "DE75512108001245126199"}
    actor = personas.actor("operator")
    edit_and_replay_dead_letter(actor=actor, letter_id=letter.pk, payload=changed, reason=REASON)
    for api in (Api(personas.support), Api(personas.operator, Permission.VIEW_RUN)):
        answer = api.get(f"/dead-letters/{letter.pk}/").json
        assert answer["payload"]["iban"] == HIDDEN
        assert answer["edits"][0]["changes"] == [
            {"field": "iban", "before": HIDDEN, "after": HIDDEN},
            {"field": "amount", "before": "0.00", "after": "3.00"},
        ]
        assert "stack" not in answer["error"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_acts_once_per_key(personas: Personas, command: str) -> None:
    letter, api = make_letter(), Api(personas.operator)
    if command == "restore":
        api.post(f"/dead-letters/{letter.pk}/discard/", {"reason": REASON})
    path = f"/dead-letters/{letter.pk}/{command}/"
    answers = [api.post(path, body(letter, command), key="k-1") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    assert answers[0].json["status"] == {"discard": "discarded", "restore": "open"}.get(command, "replayed")
    assert AuditEntry.objects.filter(object_type="dead_letter").count() == (2 if command == "restore" else 1)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_needs_its_right(personas: Personas, command: str) -> None:
    letter = make_letter()
    path = f"/dead-letters/{letter.pk}/{command}/"
    assert Api(personas.viewer).post(path, body(letter, command)).problem == (403, "forbidden")
    assert Api(personas.outsider).post(path, body(letter, command)).problem == (404, "not-found")
    assert Api(personas.team_operator).post(path, body(letter, command)).problem == (404, "not-found")


def test_what_does_not_fit_or_comes_too_late_is_refused(personas: Personas) -> None:
    letter, api = make_letter(), Api(personas.operator)
    path = f"/dead-letters/{letter.pk}/edit-and-replay/"
    answer = api.post(path, {"reason": REASON, "payload": letter.payload | {"amount": "-1"}})
    assert answer.problem == (422, "invalid-input")
    assert list(answer.json["errors"]) == ["payload.amount"]
    late = api.post(path, {"reason": REASON, "payload": letter.payload, "expected_revision": 3})
    assert late.problem == (409, "stale-version")


def test_completeness_tells_the_gap_and_whether_it_can_see(personas: Personas) -> None:
    make_missed()
    make_letter()
    api = Api(personas.viewer)
    assert api.get("/completeness/").json["can_see"] is False
    make_heartbeat("worker")
    make_heartbeat("dispatcher")
    answer = api.get("/completeness/").json
    assert (answer["can_see"], answer["gap"], answer["amounts"]) == (True, 2, {"EUR": "500.00"})
    (subscription,) = answer["subscriptions"]
    assert (subscription["subscriber"], subscription["missing"], subscription["dead"]) == ("test-book-payment", 1, 1)


@pytest.mark.parametrize(("command", "status"), [("send", "pending"), ("give-up", "discarded")])
def test_a_missed_event_is_found_and_acted_on(personas: Personas, command: str, status: str) -> None:
    missed, api = make_missed(), Api(personas.operator)
    (found,) = api.get("/completeness/missed/", {"consumer": "test-book-payment"}).json["results"]
    assert found["id"] == str(missed.pk)
    path = f"/completeness/missed/{missed.pk}/{command}/"
    assert Api(personas.viewer).post(path, {"reason": REASON}).problem == (403, "forbidden")
    assert api.post(path, {"reason": "short"}).problem == (422, "invalid-input")
    assert api.post(path, {"reason": REASON}, key="k-1").json["status"] == status
    assert api.post(path, {"reason": REASON}, key="k-1").status == 200
    assert AuditEntry.objects.filter(object_type="event").count() == 1


def test_contracts_come_with_their_schema_and_their_readers(personas: Personas) -> None:
    make_letter()
    api = Api(personas.viewer)
    found = next(each for each in api.get("/contracts/").json["results"] if each["name"] == "test.received")
    assert found == api.get("/contracts/test.received/").json
    assert found["within_seconds"] == 900
    assert [each["workflow"] for each in found["consumers"]] == ["test-book-payment"]
    assert found["versions"][0]["number"] == 2
    assert "iban" in found["versions"][0]["json_schema"]["properties"]
    assert Api(personas.team_operator).get("/contracts/test.received/").problem == (404, "not-found")
