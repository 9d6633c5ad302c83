"""The pages of dead letters: how much is stuck, why, what one says, and the dialogs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.core.actor import Actor
from portal.core.clock import now
from portal.core.ids import uuid7
from portal.core.models import AuditEntry
from tests.deadletters.shop import make_letter
from tests.factories import make_heartbeat, make_run
from tests.personas import Personas
from workflows.deadletters.queries import Overview, overview
from workflows.deadletters.services import edit_and_replay_dead_letter, replay_dead_letter
from workflows.models import DeadLetter, InboxMessage, OutboxMessage
from workflows.redaction import HIDDEN

pytestmark = pytest.mark.django_db
REASON = "The client is in the register now"
Status = DeadLetter.Status
DIALOGS = ["replay", "edit", "discard"]


def page_of(client: Client, path: str = "") -> str:
    answer = client.get(f"/dead-letters/{path}")
    assert answer.status_code == 200
    return answer.content.decode()


def post(client: Client, letter: DeadLetter, command: str, **changes: str) -> Any:
    form = {"reason": REASON, "expected_version": str(letter.replay_count), "token": uuid7().hex}
    return client.post(f"/dead-letters/{letter.pk}/{command}/", form | changes)


def seen(actor: Actor) -> Overview:
    return overview(actor)


def test_letters_are_counted_by_subscriber_with_their_growth_and_worth(personas: Personas) -> None:
    for minutes in (10, 30, 90, 60 * 30):
        make_letter(died_at=now() - timedelta(minutes=minutes))
    gone = make_letter(died_at=now() - timedelta(hours=30), status=Status.REPLAYED)
    DeadLetter.objects.filter(pk=gone.pk).update(last_replayed_at=now() - timedelta(hours=2))
    (queue,) = seen(personas.actor("viewer")).queues
    assert (queue.depth, queue.in_an_hour, queue.in_a_day) == (4, 2, 2)
    assert [(str(money.amount), money.currency) for money in queue.money] == [("1000.00", "EUR")]
    assert "Book a payment" in page_of(personas.client("viewer"))


def test_letters_that_died_of_the_same_are_one_cause_however_its_ids_differ(personas: Personas) -> None:
    for number in (70123, 70124):
        make_letter(error=f"no client {number} in the register", reason=DeadLetter.Reason.REJECTED)
    make_letter()
    causes = seen(personas.actor("viewer")).causes
    assert [(cause.letters, cause.reason) for cause in causes] == [(2, "rejected"), (1, "contract")]
    listed = page_of(personas.client("viewer"), f"?{causes[0].query}")
    assert listed.count('<tr id="letter-') == 2


def test_the_list_shows_what_is_open_unless_asked_otherwise(personas: Personas) -> None:
    opened = make_letter()
    gone = make_letter(status=Status.DISCARDED, discarded_at=now())
    client = personas.client("viewer")
    for query, expected in (("", {opened}), ("?status=discarded", {gone}), ("?status=any", {opened, gone})):
        page = page_of(client, query)
        assert {letter for letter in (opened, gone) if f'id="letter-{letter.pk}"' in page} == expected


@pytest.mark.parametrize(
    "query",
    [
        "q={letter.pk}",
        "q={letter.message_id}",
        "q={letter.message.key}",
        "q={letter.message.correlation_id}",
        "q=greater than",
        "consumer=test-book-payment",
        "event=test.received",
        "reason=contract",
        "customer=client-3",
    ],
)
def test_a_letter_is_found_by_what_names_it(personas: Personas, query: str) -> None:
    letter, client = make_letter(), personas.client("viewer")
    assert f'id="letter-{letter.pk}"' in page_of(client, "?" + query.format(letter=letter))
    assert "No dead letter matches" in page_of(client, "?q=something else")


def test_an_address_with_empty_fields_is_tidied(personas: Personas) -> None:
    answer = personas.client("viewer").get("/dead-letters/?q=&consumer=a&event=")
    assert (answer.status_code, answer["Location"]) == (302, "/dead-letters/?consumer=a")


def test_nothing_is_told_of_three_kinds(personas: Personas) -> None:
    client = personas.client("viewer")
    assert "No dead letters yet" in page_of(client)
    letter = make_letter(status=Status.REPLAYED)
    DeadLetter.objects.filter(pk=letter.pk).update(last_replayed_at=now())
    assert "as far as can be seen" in page_of(client), "nothing moves, so an empty list means nothing"
    make_heartbeat("worker")
    make_heartbeat("dispatcher")
    assert "Empty since" in page_of(client)


def test_older_letters_are_a_page_away(personas: Personas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.deadletters.queries.PAGE_SIZE", 2)
    letters = [make_letter() for _ in range(3)][::-1]
    first = page_of(personas.client("viewer"))
    assert [f'id="letter-{letter.pk}"' in first for letter in letters] == [True, True, False]
    older = page_of(personas.client("viewer"), f"?before={letters[1].pk}")
    assert f'id="letter-{letters[2].pk}"' in older


def test_the_page_says_what_happened_and_which_field_does_not_fit(personas: Personas) -> None:
    letter = make_letter(payload={"amount": "0.00"})
    page = page_of(personas.client("operator"), f"{letter.pk}/")
    assert "does not say what “Book a payment” needs" in page
    assert "1 field does not fit" in page
    assert "<code>amount</code> Input should be greater than 0" in page
    assert "test.received version 2" in page
    assert letter.message.correlation_id in page


def test_sensitive_values_are_for_those_who_may_see_them(personas: Personas) -> None:
    letter = make_letter(payload={"amount": "0.00"})
    fixed = letter.payload | {"amount": "3.00", "iban": "DE75512108001245126199"}
    edit_and_replay_dead_letter(
        actor=personas.actor("operator"), letter_id=letter.pk, payload=fixed, reason="They sent the right one"
    )
    shown, hidden = (page_of(personas.client(who), f"{letter.pk}/") for who in ("operator", "support"))
    assert "DE02120300000000202051" in shown
    assert "DE75512108001245126199" in shown
    assert "DE02" not in hidden
    assert "DE75" not in hidden
    assert HIDDEN in hidden
    assert "3.00" in hidden, "what is not sensitive is told"


def test_the_page_tells_what_was_done_and_what_came_of_it(personas: Personas) -> None:
    letter = make_letter()
    replay_dead_letter(actor=personas.actor("support"), letter_id=letter.pk, reason=REASON)
    page = page_of(personas.client("viewer"), f"{letter.pk}/")
    assert "has not answered yet" in page
    assert f"Support: {REASON}" in page
    run = make_run(letter.workflow, at="book")
    InboxMessage.objects.filter(pk=letter.inbox_id).update(status="handled", handled_at=now(), run=run)
    page = page_of(personas.client("viewer"), f"{letter.pk}/")
    assert f"/runs/{run.pk}/" in page
    assert "1 of 5 times" in page


def test_a_run_that_one_may_not_see_is_not_named(personas: Personas) -> None:
    letter = make_letter()
    OutboxMessage.objects.filter(pk=letter.message_id).update(run=uuid7(), origin="run")
    assert "a run that you may not see" in page_of(personas.client("viewer"), f"{letter.pk}/")


def test_a_subscriber_that_is_gone_is_shown_to_those_who_see_everything(personas: Personas) -> None:
    letter = make_letter(reason=DeadLetter.Reason.UNKNOWN_CONSUMER)
    DeadLetter.objects.filter(pk=letter.pk).update(workflow=None, consumer="left-long-ago")
    page = page_of(personas.client("viewer"), f"{letter.pk}/")
    assert "“left-long-ago”, which is not in the code any more" in page
    assert personas.client("team_operator").get(f"/dead-letters/{letter.pk}/").status_code == 404


@pytest.mark.parametrize("command", DIALOGS)
def test_a_dialog_acts_once_and_leads_back(personas: Personas, command: str) -> None:
    letter, client = make_letter(payload={"amount": "0.00"}), personas.client("operator")
    assert "What will happen" in page_of(client, f"{letter.pk}/{command}/")
    form = {"token": uuid7().hex, "payload": '{"invoice": "A", "client": "b", "amount": "3.00", "iban": "DE"}'}
    for _ in range(2):
        answer = post(client, letter, command, **form)
        assert (answer.status_code, answer["Location"]) == (303, f"/dead-letters/{letter.pk}/")
    assert AuditEntry.objects.filter(object_type="dead_letter").count() == 1


@pytest.mark.parametrize("command", DIALOGS)
def test_a_dialog_asks_why(personas: Personas, command: str) -> None:
    letter = make_letter()
    answer = post(personas.client("operator"), letter, command, reason="because", payload="{}")
    assert answer.status_code == 422
    assert "Say a little more" in answer.content.decode()
    assert DeadLetter.objects.get().status == Status.OPEN


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ("{", "This is not JSON"),
        ("[]", "not an object"),
        ('{"amount": NaN}', "not JSON"),
        (r'{"invoice": "\u0000"}', "U+0000"),
        ('{"invoice": "A", "client": "b", "amount": "-1", "iban": "DE"}', "amount: Input should be greater than 0"),
    ],
)
def test_an_edit_that_does_not_fit_comes_back_as_it_was_typed(personas: Personas, payload: str, told: str) -> None:
    answer = post(personas.client("operator"), make_letter(), "edit", payload=payload)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert told in page
    assert payload.replace('"', "&quot;") in page


def test_a_dialog_about_a_letter_that_died_again_says_so(personas: Personas) -> None:
    letter = make_letter(replay_count=1)
    answer = post(personas.client("operator"), letter, "discard", expected_version="0")
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "replayed since you looked at it and died again" in page
    assert 'value="1"' in page


def test_what_a_person_may_not_do_names_the_right(personas: Personas) -> None:
    page = page_of(personas.client("viewer"), f"{make_letter().pk}/")
    assert "Needs the right to replay dead letter. Ask Test team for it." in page


@pytest.mark.parametrize("letters", [1, 8])
def test_pages_cost_few_queries_however_many_there_are(personas: Personas, letters: int) -> None:
    made = [make_letter(error=f"cause {'abcdefgh'[number]}") for number in range(letters)]
    client = personas.client("operator")
    for path in ("", "_overview/", f"{made[0].pk}/"):
        with CaptureQueriesContext(connection) as queries:
            page_of(client, path)
        assert len(queries) <= 12, [query["sql"] for query in queries]


def test_an_act_leads_from_the_audit_trail_to_the_letter(personas: Personas) -> None:
    letter = make_letter()
    replay_dead_letter(actor=personas.actor("operator"), letter_id=letter.pk, reason=REASON)
    entry = AuditEntry.objects.get(object_type="dead_letter")
    page = personas.client("admin").get(f"/audit/{entry.pk}/").content.decode()
    assert f"/dead-letters/{letter.pk}/" in page


def test_the_link_of_a_cause_is_a_filter_like_any_other(personas: Personas) -> None:
    make_letter()
    (cause,) = seen(personas.actor("viewer")).causes
    fields = parse_qs(urlsplit(f"?{cause.query}").query)
    assert fields.keys() == {"consumer", "reason", "cause"}
    assert "Remove the filter Error" in page_of(personas.client("viewer"), f"?{cause.query}")
