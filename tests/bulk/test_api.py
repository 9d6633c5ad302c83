"""Bulk operations through the API: look, start exactly that, follow it, lay a hand on it."""

from __future__ import annotations

from typing import Any

import pytest

from portal.core.permissions import Permission
from tests.api.client import Api
from tests.bulk.help import REASON, failed_runs
from tests.engine import drive
from tests.engine.flows import order_flow
from tests.personas import Personas
from workflows.bulk import engine
from workflows.models import BulkOperation

pytestmark = pytest.mark.django_db
PATH = "/bulk-operations/"
LOOK = {"command": "resume", "filter": "state=failed"}


@pytest.fixture
def api(personas: Personas) -> Api:
    return Api(personas.operator)


def start(api: Api, **changes: Any) -> Any:
    seen = api.post(PATH, LOOK).json
    body = LOOK | {
        "dry_run": False,
        "reason": REASON,
        "expected_count": seen["count"],
        "expected_digest": seen["digest"],
    }
    return api.post(PATH, body | changes)


def test_without_saying_more_it_only_looks(api: Api) -> None:
    failed_runs(2)
    drive.drive(drive.started(order_flow))
    answer = api.post(PATH, {"command": "resume"})
    assert answer.status == 200
    assert (answer.json["matching"], answer.json["count"], answer.json["stages"]) == (3, 2, [1, 1])
    assert answer.json["money"] == [{"currency": "", "amount": "200.00"}]
    assert BulkOperation.objects.count() == 0


def test_exactly_what_was_seen_is_started_followed_and_stopped(api: Api) -> None:
    runs = failed_runs(2)
    answer = start(api, per_minute=300)
    assert (answer.status, answer.json["status"], answer.json["total"]) == (201, "running", 2)
    address = f"{PATH}{answer.json['id']}/"
    engine.advance(answer.json["id"])
    detail = api.get(address).json
    assert (detail["counts"]["touched"], detail["counts"]["pending"]) == (1, 1)
    assert detail["preview"]["count"] == 2
    items = api.get(f"{address}items/").json["results"]
    assert [(item["object_id"], item["status"]) for item in items] == [
        (str(runs[0].pk), "done"),
        (str(runs[1].pk), "pending"),
    ]
    for verb, status in (("pause", "paused"), ("continue", "running"), ("stop", "stopped")):
        assert api.post(f"{address}{verb}/", {"reason": REASON}).json["status"] == status
    assert api.post(f"{address}pause/", {"reason": REASON}).problem == (409, "invalid-transition")
    assert api.get(PATH).json["results"][0]["status"] == "stopped"


def test_a_set_that_changed_is_refused(api: Api) -> None:
    failed_runs(1)
    seen = api.post(PATH, LOOK).json
    failed_runs(1)
    answer = start(api, expected_count=1, expected_digest=seen["digest"])
    assert answer.problem == (409, "selection-changed")
    assert "1 run when you looked, and 2 now" in answer.json["detail"]


def test_the_same_key_starts_once(api: Api) -> None:
    failed_runs(1)
    seen = api.post(PATH, LOOK).json
    body = LOOK | {
        "dry_run": False,
        "reason": REASON,
        "expected_count": seen["count"],
        "expected_digest": seen["digest"],
    }
    first, again = (api.post(PATH, body, key="repair-412") for _ in range(2))
    assert (first.json["id"], again.headers["Idempotency-Replayed"]) == (again.json["id"], "true")
    assert BulkOperation.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"command": "explode"}, "command"),
        ({"command": "resume", "dry_run": False}, "reason"),
        ({"command": "resume", "filter": "stat=failed"}, "stat"),
        ({"command": "resume", "filters": "state=failed"}, "filters"),
        ({"command": "resume", "per_minute": 7}, "per_minute"),
    ],
)
def test_a_mistake_is_named(api: Api, body: dict[str, Any], field: str) -> None:
    answer = api.post(PATH, body)
    assert answer.problem == (422, "invalid-input")
    assert field in answer.json["errors"]


def test_who_may_not_start_may_look_at_what_there_is(personas: Personas, api: Api) -> None:
    failed_runs(1)
    start(api)
    support = Api(personas.support)
    assert support.post(PATH, LOOK).problem == (403, "forbidden")
    assert len(support.get(PATH).json["results"]) == 1


def test_what_a_token_starts_is_done_with_its_scopes_and_ends_with_it(personas: Personas) -> None:
    failed_runs(2)
    narrow = Api(personas.operator, Permission.VIEW_RUN, Permission.START_BULK_OPERATION)
    assert narrow.post(PATH, LOOK).problem == (403, "forbidden")
    wide = Api(personas.operator, Permission.VIEW_RUN, Permission.START_BULK_OPERATION, Permission.RESUME_RUN)
    operation = BulkOperation.objects.get(pk=start(wide).json["id"])
    assert operation.token is not None
    operation.token.revoked_at = operation.created_at
    operation.token.save()
    engine.advance(operation.pk)
    operation.refresh_from_db()
    assert operation.status == "halted"
    assert "revoked or expired" in operation.halted_because
