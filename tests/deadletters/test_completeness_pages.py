"""The page of completeness: what is missing and what it is worth, and what people do about it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.core.clock import now
from portal.core.errors import Forbidden, InvalidTransition, NotFound
from portal.core.ids import uuid7
from portal.core.models import AuditEntry
from tests.deadletters.shop import make_event, make_letter, make_missed
from tests.events.drive import bring
from tests.factories import make_heartbeat
from tests.personas import Personas
from workflows.bulk.kinds import NotNeeded, Outcome
from workflows.bulk.registry import command_of, kind_of
from workflows.events.pages.gaps import gaps, give_up_missed, send_missed
from workflows.models import InboxMessage, OutboxMessage, Run

pytestmark = pytest.mark.django_db
REASON = "The subscriber was away and is back"
Status = InboxMessage.Status


@pytest.fixture
def _alive() -> None:
    make_heartbeat("worker")
    make_heartbeat("dispatcher")


def page_of(client: Client, query: str = "") -> str:
    answer = client.get(f"/completeness/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def handled() -> InboxMessage:
    row = make_missed()
    InboxMessage.objects.filter(pk=row.pk).update(status=Status.HANDLED, handled_at=now())
    return row


@pytest.mark.usefixtures("_alive")
def test_what_is_missing_is_told_with_its_worth_and_where_it_is(personas: Personas) -> None:
    missed = make_missed()
    make_letter()
    handled()
    page = page_of(personas.client("viewer"))
    assert "500.00 EUR are missing in somebody" in page
    assert '1 overdue, 1 in <a href="/dead-letters/">dead letters</a>' in page
    assert f'id="missed-{missed.pk}"' in page
    assert "Incomplete" in page


@pytest.mark.usefixtures("_alive")
def test_all_is_well_only_if_all_was_acted_on(personas: Personas) -> None:
    client = personas.client("viewer")
    assert "Nothing was emitted yet" in page_of(client)
    handled()
    page = page_of(client)
    assert "Nothing is missing" in page
    assert "Complete" in page


def test_it_is_never_well_while_nobody_hands_over(personas: Personas) -> None:
    handled()
    page = page_of(personas.client("viewer"))
    assert "Cannot see: no dispatcher and no worker is heard" in page
    assert "Nothing is missing" not in page
    assert "state--ok" not in page


@pytest.mark.usefixtures("_alive")
def test_what_was_not_handed_over_is_told(personas: Personas) -> None:
    handled()
    OutboxMessage.objects.filter(pk=make_event().pk).update(routed_at=None)
    page = page_of(personas.client("viewer"))
    assert "1 event was not handed over for more than a minute" in page
    assert "state--ok" not in page


def test_missed_events_are_found_by_subscriber_event_and_key(personas: Personas) -> None:
    missed, client = make_missed(), personas.client("viewer")
    for query in ("consumer=test-book-payment", "event=test.received", f"q={missed.key}", f"q={missed.message_id}"):
        assert f'id="missed-{missed.pk}"' in page_of(client, f"?{query}")
    assert "No missed event matches" in page_of(client, "?q=something-else")
    assert f'id="missed-{missed.pk}"' not in page_of(personas.client("team_operator"))


def test_sending_again_lets_the_subscriber_act_once(personas: Personas) -> None:
    missed = make_missed()
    send_missed(actor=personas.actor("support"), inbox_id=missed.pk, reason=REASON)
    bring()
    bring()
    missed.refresh_from_db()
    assert missed.status == Status.HANDLED
    assert Run.objects.filter(workflow__slug="test-book-payment").count() == 1
    assert AuditEntry.objects.get(action="workflows.event.send_again").reason == REASON
    with pytest.raises(InvalidTransition, match="handled"):
        send_missed(actor=personas.actor("support"), inbox_id=missed.pk, reason=REASON)


def test_what_is_given_up_is_not_missing_any_more(personas: Personas) -> None:
    missed = make_missed()
    give_up_missed(actor=personas.actor("operator"), inbox_id=missed.pk, reason=REASON)
    bring()
    assert not Run.objects.exists()
    assert gaps(personas.actor("operator")) == []


@pytest.mark.parametrize(
    ("service", "who", "error"),
    [
        (send_missed, "viewer", Forbidden),
        (give_up_missed, "support", Forbidden),
        (send_missed, "team_operator", NotFound),
        (give_up_missed, "outsider", NotFound),
    ],
)
def test_rights_are_those_of_the_subscribers_workflow(
    personas: Personas, service: Any, who: str, error: type[Exception]
) -> None:
    missed = make_missed()
    with pytest.raises(error):
        service(actor=personas.actor(who), inbox_id=missed.pk, reason=REASON)
    assert InboxMessage.objects.get().status == Status.PENDING


@pytest.mark.parametrize("command", ["send", "give-up"])
def test_a_dialog_acts_once(personas: Personas, command: str) -> None:
    missed, client = make_missed(), personas.client("operator")
    path = f"/completeness/{missed.pk}/{command}/"
    assert "What will happen" in client.get(path).content.decode()
    form = {"reason": REASON, "expected_version": "0", "token": uuid7().hex}
    assert client.post(path, form | {"reason": "because"}).status_code == 422
    assert client.post(path, form).status_code == 303
    InboxMessage.objects.filter(pk=missed.pk).update(status=Status.DISCARDED)
    assert client.post(path, form).status_code == 303, "a repeat of the same form"
    assert client.post(path, form | {"token": uuid7().hex}).status_code == 409
    assert AuditEntry.objects.filter(object_type="event").count() == 1


def test_many_are_sent_again_with_five_first(personas: Personas) -> None:
    actor, kind, send = personas.actor("operator"), kind_of("missed_event"), command_of("missed_event", "send")
    missed = make_missed()
    make_letter()
    assert [row.pk for row in kind.find(actor, QueryDict("event=test.received"))] == [missed.pk]
    assert tuple(send.ladder) == (5,)
    (candidate,) = send.preview(actor, [missed.pk])
    assert (candidate.why_not, candidate.does) == ("", ("“test.received” is handed to “Book a payment” again",))
    send.apply(actor, missed.pk, REASON)
    assert send.settled([missed.pk])[missed.pk].outcome is Outcome.OPEN
    bring()
    assert send.settled([missed.pk])[missed.pk].outcome is Outcome.GOOD
    with pytest.raises(NotNeeded):
        send.apply(actor, missed.pk, REASON)


@pytest.mark.parametrize("rows", [1, 6])
def test_pages_cost_few_queries_however_much_is_missing(personas: Personas, rows: int) -> None:
    for _ in range(rows):
        make_missed()
        make_letter()
    client = personas.client("operator")
    for path in ("", "_summary/"):
        with CaptureQueriesContext(connection) as queries:
            page_of(client, path)
        assert len(queries) <= 13
