from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries

from portal.core.models import Team
from portal.core.permissions import Permission
from tests.api.client import Api
from tests.definitions import PARTNER_PAYOUT
from tests.factories import make_run, make_workflow, open_breaker
from tests.personas import Personas
from workflows.engine.state import RunStatus
from workflows.models import Run
from workflows.redaction import HIDDEN

pytestmark = pytest.mark.django_db


def test_workflows_are_listed_by_name(personas: Personas) -> None:
    make_workflow()
    make_workflow(PARTNER_PAYOUT)
    answer = Api(personas.viewer).get("/workflows/")
    assert [w["slug"] for w in answer.json["results"]] == ["partner-payout", "settle-invoice"]
    assert (
        answer.json["results"][1] | {"within_seconds": 600.0, "team": "finance-operations"}
        == (answer.json["results"][1])
    )


def test_somebody_with_rights_on_one_team_sees_that_teams_workflows_only(personas: Personas) -> None:
    mine = make_workflow()
    other = make_workflow(PARTNER_PAYOUT, team=Team.objects.create(slug="partners", name="Partners"))
    run = make_run(mine)
    hidden = make_run(other, at="send_payout")
    api = Api(personas.team_operator)
    assert [w["slug"] for w in api.get("/workflows/").json["results"]] == ["settle-invoice"]
    assert [r["id"] for r in api.get("/runs/").json["results"]] == [str(run.pk)]
    assert api.get("/workflows/partner-payout/").problem == (404, "not-found")
    assert api.get(f"/runs/{hidden.pk}/").problem == (404, "not-found")
    assert api.get(f"/runs/{hidden.pk}/events/").problem == (404, "not-found")


def test_a_workflow_comes_with_its_definition(personas: Personas) -> None:
    make_workflow()
    answer = Api(personas.viewer).get("/workflows/settle-invoice/")
    assert answer.json["version"] == 3
    assert [step["name"] for step in answer.json["definition"]["steps"]][:2] == ["check_invoice", "charge"]
    assert "amount" in answer.json["definition"]["input"]["schema"]["properties"]


def test_runs_are_filtered_as_on_the_page(personas: Personas) -> None:
    make_workflow()
    failed = make_run(status=RunStatus.FAILED)
    waiting = make_run(status=RunStatus.WAITING, customer_key="client-x")
    api = Api(personas.viewer)
    assert [r["id"] for r in api.get("/runs/").json["results"]] == [str(waiting.pk), str(failed.pk)]
    assert [r["id"] for r in api.get("/runs/", {"state": "failed"}).json["results"]] == [str(failed.pk)]
    assert [r["id"] for r in api.get("/runs/", {"customer": "client-x"}).json["results"]] == [str(waiting.pk)]
    assert [r["id"] for r in api.get("/runs/", {"dependency": "payments-gateway"}).json["results"]] == [
        str(waiting.pk)
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"stauts": "failed"}, "stauts"),
        ({"state": "broken"}, "state"),
        ({"amount_min": "a lot"}, "amount_min"),
        ({"until": "0770-04-08T04:54:45.19+20:37"}, "until"),
        ({"since": "9999-12-31T23:59:59-10:00"}, "since"),
        ({"page_size": "0"}, "page_size"),
        ({"page_size": "201"}, "page_size"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "cD1ub25zZW5zZQ=="}, "cursor"),
        ({"customer": "a\0b"}, "customer"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(personas: Personas, query: dict[str, str], field: str) -> None:
    make_workflow()
    answer = Api(personas.viewer).get("/runs/", query)
    assert answer.problem == (422, "invalid-input")
    assert list(answer.json["errors"]) == [field]


def test_pages_follow_each_other_while_new_runs_arrive(personas: Personas) -> None:
    make_workflow()
    runs = [str(make_run().pk) for _ in range(5)][::-1]
    api = Api(personas.viewer)
    first = api.get("/runs/", {"page_size": 2}).json
    make_run()
    second = api.get(first["next"]).json
    third = api.get(second["next"]).json
    assert [r["id"] for page in (first, second, third) for r in page["results"]] == runs
    assert third["next"] is None
    assert [r["id"] for r in api.get(third["previous"]).json["results"]] == runs[2:4]


def test_a_thousand_runs_are_walked_cheaply_and_without_repeats(personas: Personas) -> None:
    make_workflow()
    one = make_run()
    values = {field.attname: getattr(one, field.attname) for field in Run._meta.fields if field.name != "id"}
    Run.objects.bulk_create(Run(**values) for _ in range(999))
    api = Api(personas.viewer)
    seen, address = [], "/runs/?page_size=200"
    began = time.process_time()
    while address:
        page = api.get(address).json
        seen += [run["id"] for run in page["results"]]
        address = page["next"]
    assert time.process_time() - began < 2  # about 0.2 s; the limit is for a busy machine
    assert (len(seen), len(set(seen))) == (1000, 1000)


def test_a_run_comes_with_every_step_also_those_not_reached(personas: Personas) -> None:
    make_workflow()
    run = make_run(status=RunStatus.FAILED, at="charge")
    answer = Api(personas.operator).get(f"/runs/{run.pk}/")
    steps = {step["name"]: step for step in answer.json["steps"]}
    assert [(name, step["status"]) for name, step in steps.items()] == [
        ("check_invoice", "succeeded"),
        ("charge", "failed"),
        ("post_to_ledger", "pending"),
        ("send_receipt", "pending"),
        ("close_invoice", "pending"),
    ]
    assert steps["charge"]["operation_key"] == f"{run.pk}:charge:0"
    assert [t["outcome"] for t in steps["charge"]["tries"]] == ["failed"]
    assert answer.json["error"]["message"] == "payments-gateway answered 502 Bad Gateway"
    assert answer.json["revision"] == run.event_count
    assert {c["name"]: c["allowed"] for c in answer.json["commands"]}["resume"] is True


def test_sensitive_values_and_stacks_need_the_right_to_see_them(personas: Personas) -> None:
    make_workflow()
    run = make_run(status=RunStatus.FAILED)
    hidden = Api(personas.viewer).get(f"/runs/{run.pk}/").json
    shown = Api(personas.operator).get(f"/runs/{run.pk}/").json
    assert (hidden["input"]["contact_email"], shown["input"]["contact_email"]) == (
        HIDDEN,
        "accounts@client.example",
    )
    assert ("stack" in hidden["error"], "stack" in shown["error"]) == (False, True)
    narrowed = Api(personas.operator, Permission.VIEW_RUN).get(f"/runs/{run.pk}/").json
    assert narrowed["input"]["contact_email"] == HIDDEN


def test_events_tell_the_history_in_order(personas: Personas) -> None:
    make_workflow()
    run = make_run(status=RunStatus.FAILED)
    answer = Api(personas.viewer).get(f"/runs/{run.pk}/events/")
    assert [event["number"] for event in answer.json["results"]] == list(range(1, run.event_count + 1))
    assert [event["kind"] for event in answer.json["results"]] == [
        "run.accepted",
        "step.succeeded",
        "step.failed",
        "run.failed",
    ]
    assert "stack" not in answer.json["results"][-1]["data"]["error"]


def test_dependencies_say_how_many_runs_wait(personas: Personas) -> None:
    make_workflow()
    open_breaker()
    make_run(status=RunStatus.WAITING)
    make_run(status=RunStatus.ROLLING_BACK, waiting_on="payments-gateway")
    results = Api(personas.viewer).get("/dependencies/").json["results"]
    assert [(d["name"], d["state"], d["waiting_runs"]) for d in results] == [
        ("mail", "closed", 0),
        ("payments-gateway", "open", 2),
    ]


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        ("/workflows/", 3),
        ("/workflows/settle-invoice/", 4),
        ("/runs/", 3),
        ("/runs/?state=failed&workflow=settle-invoice", 4),
        ("/runs/{run}/", 6),
        ("/runs/{run}/events/", 4),
        ("/dependencies/", 5),
    ],
)
def test_queries_do_not_grow_with_the_rows(
    personas: Personas, path: str, queries: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_workflow()
    run = make_run(status=RunStatus.FAILED)
    for _ in range(5):
        make_run(status=RunStatus.FAILED, ago=timedelta(hours=1))
    api = Api(personas.viewer)
    api.get("/runs/")  # writes the token's time of use, once a minute
    with django_assert_num_queries(queries):
        assert api.get(path.format(run=run.pk)).status == 200


def test_an_outsider_learns_nothing(personas: Personas) -> None:
    make_workflow()
    run = make_run()
    api = Api(personas.outsider)
    for path in (f"/runs/{run.pk}/", f"/runs/{uuid4()}/", "/workflows/settle-invoice/"):
        assert api.get(path).problem == (404, "not-found")
    for path in ("/runs/", "/workflows/", "/dependencies/"):
        assert api.get(path).problem == (403, "forbidden")
