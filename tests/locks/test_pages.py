"""The page of locks, the dialog that breaks one, and what the page of a run that waits says."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from portal.core.models import AuditEntry
from tests.factories import make_lock, make_run, make_team, make_workflow
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.models import ResourceLock, Run
from workflows.presentation import short_id

pytestmark = pytest.mark.django_db

KEY = "ledger:harbour/lane estates"
ADDRESS = "/locks/ledger:harbour%2Flane%20estates/break/"
REASON = "Its worker hangs and others wait"


def make_runs(count: int) -> list[Run]:
    workflow = make_workflow()
    return [make_run(workflow, status=RunStatus.RUNNING) for _ in range(count)]


def post(client: Client, **changes: str) -> tuple[int, str]:
    data = {"reason": REASON, "token": str(ResourceLock.objects.get().token)} | changes
    response = client.post(ADDRESS, data)
    return response.status_code, response.content.decode()


def test_the_list_says_who_holds_it_and_who_waits_in_which_order(personas: Personas) -> None:
    holder, *waiting = make_runs(8)
    make_lock(KEY, holder, *waiting)
    page = personas.client("viewer").get("/locks/").content.decode()
    places = [page.index(short_id(run.pk)) for run in (holder, *waiting[:5])]
    assert places == sorted(places)
    assert short_id(waiting[5].pk) not in page
    assert "and 2 more" in page
    assert "Post to ledger" in page


def test_without_locks_it_says_what_would_stand_here(personas: Personas) -> None:
    ResourceLock.objects.create(key="free", token=1, since="2026-11-20T08:00:00Z")
    assert "No lock is held" in personas.client("viewer").get("/locks/").content.decode()


def test_a_poll_gets_the_fragment_of_the_same_address(personas: Personas) -> None:
    response = personas.client("viewer").get("/locks/", headers={"HX-Request": "true"})
    assert response.content.decode().lstrip().startswith('<div id="lock-list"')


def test_what_another_team_locks_is_not_shown(personas: Personas) -> None:
    foreign = make_run(make_workflow(slug="conveyancing", team=make_team("legal")), status=RunStatus.RUNNING)
    make_lock("ledger:of-others", foreign)
    own = make_run(make_workflow(team=personas.team), status=RunStatus.RUNNING)
    make_lock(KEY, foreign, own)
    client = personas.client("team_operator")
    page = client.get("/locks/").content.decode()
    assert "ledger:of-others" not in page
    assert "a run that you may not see" in page
    assert "Break…" not in page
    assert client.get("/locks/ledger:of-others/break/").status_code == 404
    assert post_to(client, "ledger:of-others") == 404
    assert post_to(client, "ledger:harbour%2Flane%20estates") == 404, "its holder may not be known"


def post_to(client: Client, key: str) -> int:
    return client.post(f"/locks/{key}/break/", {"reason": REASON, "token": "1"}).status_code


@pytest.mark.parametrize("locks", [1, 8])
def test_the_list_costs_few_queries_however_many_there_are(personas: Personas, locks: int) -> None:
    runs = make_runs(locks * 3)
    for number in range(locks):
        make_lock(f"{KEY}:{number}", *runs[number * 3 : number * 3 + 3])
    client = personas.client("operator")
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/locks/").status_code == 200
    assert len(queries) <= 12


def test_the_dialog_says_what_happens(personas: Personas) -> None:
    holder, *waiting = make_runs(3)
    make_lock(KEY, holder, *waiting)
    page = personas.client("operator").get(ADDRESS).content.decode()
    assert f"{short_id(holder.pk)}, Post to ledger, loses it." in page
    assert f"{short_id(waiting[0].pk)} gets it and goes on at once. 1 more wait behind it." in page
    for words in ("What happens", "Keep in mind", "data-cancel", 'name="reason"', "data-once"):
        assert words in page


@pytest.mark.parametrize(("who", "status"), [("viewer", 403), ("support", 403), ("outsider", 404)])
def test_only_operators_may_break_it(personas: Personas, who: str, status: int) -> None:
    (holder,) = make_runs(1)
    make_lock(KEY, holder)
    assert personas.client(who).get(ADDRESS).status_code == status
    assert post(personas.client(who))[0] == status
    assert ResourceLock.objects.get().run == holder


def test_breaking_hands_it_on_once_and_is_audited(personas: Personas) -> None:
    holder, first, second = make_runs(3)
    seen = make_lock(KEY, holder, first, second).token
    client = personas.client("operator")
    assert post(client)[0] == 303
    first.refresh_from_db()
    assert (ResourceLock.objects.get().run, first.status) == (first, "queued")
    status, page = post(client, token=str(seen))
    assert status == 409
    assert "was taken anew since you looked" in page
    entry = AuditEntry.objects.get(action="workflows.lock.break")
    assert (entry.object_label, entry.reason) == (KEY, REASON)
    assert (entry.before or {})["run"] == str(holder.pk)


def test_breaking_what_nobody_waits_for_frees_it(personas: Personas) -> None:
    make_lock(KEY, *make_runs(1))
    assert post(personas.client("operator"))[0] == 303
    assert ResourceLock.objects.get().run is None
    assert post(personas.client("operator"))[0] == 404


def test_a_reason_is_required(personas: Personas) -> None:
    make_lock(KEY, *make_runs(1))
    status, page = post(personas.client("operator"), reason="because")
    assert status == 422
    assert "Say a little more" in page


def test_a_run_says_what_it_waits_for_and_its_place(personas: Personas) -> None:
    holder, *waiting = make_runs(4)
    make_lock(KEY, holder, *waiting)
    client = personas.client("viewer")
    first, last = (client.get(f"/runs/{waiting[number].pk}/").content.decode() for number in (0, 2))
    assert f"Waits for the lock {KEY} since" in first
    assert "next in the queue." in first
    assert "number 3 of 3 in the queue." in last
    assert f"{short_id(holder.pk)} holds it at Post to ledger since" in last


def test_a_key_that_cannot_be_is_not_found(personas: Personas) -> None:
    client = personas.client("operator")
    assert client.get("/locks/a%00b/break/").status_code == 404
