from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
import time_machine
from django.db import connection

from portal.core.clock import now
from portal.core.errors import Conflict, IdempotencyKeyReused, InvalidInput
from portal.core.idempotency import Answer, answer_once, checked_key, fingerprint
from portal.core.models import IdempotentRequest, Team

CHARGE = fingerprint("POST", "/charge", {"amount": 1})


def make_team_once(slug: str, *, key: str = "k-1", request: bytes = CHARGE, actor: str = "token:1") -> Answer:
    def act() -> Answer:
        team = Team.objects.create(slug=slug, name=slug)
        return Answer(201, {"slug": team.slug})

    return answer_once(actor_id=actor, key=key, request=request, act=act)


@pytest.mark.django_db
def test_a_repeated_request_gets_the_first_answer_and_does_nothing() -> None:
    first = make_team_once("a")
    assert (first.status_code, first.body, first.replayed) == (201, {"slug": "a"}, False)
    again = make_team_once("b")
    assert (again.status_code, again.body, again.replayed) == (201, {"slug": "a"}, True)
    assert Team.objects.count() == 1


@pytest.mark.django_db
def test_a_key_serves_one_request_only() -> None:
    make_team_once("a")
    with pytest.raises(IdempotencyKeyReused):
        make_team_once("b", request=fingerprint("POST", "/charge", {"amount": 2}))


@pytest.mark.django_db
def test_callers_do_not_share_keys() -> None:
    make_team_once("a")
    assert make_team_once("b", actor="token:2").replayed is False


@pytest.mark.django_db
def test_a_refusal_leaves_the_key_free() -> None:
    def refuse() -> Answer:
        raise Conflict

    with pytest.raises(Conflict):
        answer_once(actor_id="token:1", key="k-1", request=CHARGE, act=refuse)
    assert make_team_once("a").replayed is False


@pytest.mark.django_db
def test_a_key_is_forgotten_after_a_day_with_others_of_its_age() -> None:
    make_team_once("a")
    make_team_once("b", key="k-2")
    with time_machine.travel(now() + timedelta(hours=25), tick=False):
        assert make_team_once("c").replayed is False
    assert [row.key for row in IdempotentRequest.objects.all()] == ["k-1"]


@pytest.mark.django_db(transaction=True)
def test_two_at_the_same_time_act_once() -> None:
    acting = Event()

    def slow() -> Answer:
        acting.set()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.2)")
        Team.objects.create(slug="slow", name="slow")
        return Answer(201, {"slug": "slow"})

    def second() -> Answer:
        acting.wait(5)
        return in_own_connection(lambda: make_team_once("second"))

    def in_own_connection(act: Callable[[], Answer]) -> Answer:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        answers = [
            pool.submit(
                in_own_connection,
                lambda: answer_once(actor_id="token:1", key="k-1", request=CHARGE, act=slow),
            ),
            pool.submit(second),
        ]
        assert [(a.result().body["slug"], a.result().replayed) for a in answers] == [
            ("slow", False),
            ("slow", True),
        ]
    assert Team.objects.count() == 1


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 201, "a\n", "\x7f"])
def test_keys_that_are_refused(key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked_key(key)
    assert "Idempotency-Key" in caught.value.fields


def test_keys_that_are_taken() -> None:
    assert [checked_key(key) for key in (None, "a", "x" * 200)] == [None, "a", "x" * 200]
