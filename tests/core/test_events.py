"""News is handed on after the commit, to those bound to it, and nobody's fault stops the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction

from portal.core import events
from portal.core.events import BreakerClosed, BreakerOpened, Event, bind, publish

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def heard() -> Iterator[list[Event]]:
    """What the handlers heard; the first of them always fails."""
    heard: list[Event] = []

    def fail(event: Event) -> None:
        raise ZeroDivisionError

    before = dict(events._handlers)
    bind({BreakerOpened: [fail, heard.append]})
    yield heard
    bind(before)


def test_an_event_is_handed_on_after_the_commit(heard: list[Event]) -> None:
    opened = BreakerOpened(dependency="payments-gateway", reason="half of the calls failed")
    with transaction.atomic():
        publish(opened)
        publish(BreakerClosed(dependency="mail", reason="a probe succeeded"))
        assert heard == []
    assert heard == [opened]


def test_what_is_rolled_back_did_not_happen(heard: list[Event]) -> None:
    with transaction.atomic():
        publish(BreakerOpened(dependency="payments-gateway", reason="half of the calls failed"))
        transaction.set_rollback(True)
    assert heard == []
