"""The sandbox service over real HTTP: what it does, how it fails, and what it remembers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from portal.demo.sandbox.client import RunningSandbox, running_sandbox

CHARGE = {"amount": "120.00", "currency": "EUR", "invoice": "INV-1", "card_token": "tok_4242"}
PAYOUT = {"reference": "P-1", "amount": "80.50", "currency": "EUR", "account": "DE02120300000000202051"}


@pytest.fixture
def http(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.client.url, timeout=5, trust_env=False) as client:
        yield client


def charge(http: httpx.Client, key: str, **changes: str) -> httpx.Response:
    return http.post("/payments/charges", json=CHARGE | changes, headers={"Idempotency-Key": key})


def test_the_same_idempotency_key_returns_the_first_charge(sandbox: RunningSandbox, http: httpx.Client) -> None:
    first, second = charge(http, "twice"), charge(http, "twice")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert sandbox.client.records("charges").by_key["twice"] == (2, 1)


def test_a_key_is_refused_for_another_request(http: httpx.Client) -> None:
    charge(http, "reused")
    answer = charge(http, "reused", amount="999.00")
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "idempotency-key-reused"


def test_charges_are_found_by_operation_key(http: httpx.Client) -> None:
    made = charge(http, "findable").json()
    found = http.get("/payments/charges", params={"operation_key": "findable"}).json()
    assert found == {"charges": [made]}
    assert http.get("/payments/charges", params={"operation_key": "never"}).json() == {"charges": []}


def test_an_operation_is_found_whatever_it_was(sandbox: RunningSandbox, http: httpx.Client) -> None:
    made = charge(http, "looked-up").json()
    assert sandbox.client.find("looked-up") == (1, [{"collection": "charges", **made}])
    assert sandbox.client.find("never") == (0, [])
    assert http.get("/_records").status_code == 400


def test_a_charge_is_refunded_once(sandbox: RunningSandbox, http: httpx.Client) -> None:
    paid = charge(http, "refundable").json()
    refund = f"/payments/charges/{paid['id']}/refunds"
    answers = [http.post(refund, headers={"Idempotency-Key": key}) for key in ("undo", "undo", "other")]
    assert [a.status_code for a in answers] == [201, 200, 200]
    assert len({a.json()["id"] for a in answers}) == 1
    assert sandbox.client.records("refunds").by_key["undo"] == (2, 1)


def test_a_declined_card_is_not_charged(sandbox: RunningSandbox, http: httpx.Client) -> None:
    answer = charge(http, "declined", card_token="tok_declined_0002")
    assert (answer.status_code, answer.json()["code"]) == (402, "card-declined")
    assert sandbox.client.records("charges").by_key["declined"] == (1, 0)


def test_each_payout_request_pays_again(sandbox: RunningSandbox, http: httpx.Client) -> None:
    for _ in range(2):
        assert http.post("/banking/payouts", json=PAYOUT, headers={"Idempotency-Key": "x"}).status_code == 201
    assert len(http.get("/banking/payouts", params={"reference": "P-1"}).json()["payouts"]) == 2
    payouts = sandbox.client.records("payouts")
    assert payouts.by_key["P-1"] == (2, 2)
    assert payouts.doubled == 1


def test_a_payout_is_recalled_once(http: httpx.Client) -> None:
    paid = http.post("/banking/payouts", json=PAYOUT | {"reference": "P-2"}).json()
    answers = [http.post(f"/banking/payouts/{paid['id']}/recalls") for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 200]
    assert http.post("/banking/payouts/po_unknown/recalls").status_code == 404


def test_a_receipt_is_sent_once_per_key(sandbox: RunningSandbox, http: httpx.Client) -> None:
    mail = {"to": "a@example.com", "subject": "Receipt", "text": "Thank you."}
    for _ in range(2):
        http.post("/mail/receipts", json=mail, headers={"Idempotency-Key": "mail-1"})
    assert sandbox.client.records("receipts").by_key["mail-1"] == (2, 1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": "-1"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1e999"}, "amount"),
        ({"amount": "1.234"}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"invoice": ""}, "invoice"),
    ],
)
def test_a_wrong_body_is_told_by_field(http: httpx.Client, changes: dict[str, str], field: str) -> None:
    answer = charge(http, "wrong", **changes)
    assert answer.status_code == 422
    assert field in answer.json()["errors"]


def test_unknown_paths_methods_and_bodies_are_told(http: httpx.Client) -> None:
    assert http.get("/payments/nothing").status_code == 404
    assert http.get("/").status_code == 404
    assert http.get("/mail/receipts").status_code == 405
    assert http.post("/payments/charges", content=b"[1]").json()["code"] == "body-not-object"
    assert http.post("/payments/charges", content=b"\xff").json()["code"] == "body-not-json"
    assert http.get("/payments/charges").json()["code"] == "parameter-missing"
    assert http.get("/_records/nothing").status_code == 404
    assert http.put("/_faults/payments", json={"mode": "odd", "x": 1}).json()["errors"].keys() == {
        "mode",
        "x",
    }


def test_down_does_no_work(sandbox: RunningSandbox, http: httpx.Client) -> None:
    sandbox.client.set_fault("payments", "down")
    assert charge(http, "while-down").status_code == 503
    assert http.get("/banking/payouts", params={"reference": "-"}).status_code == 200
    sandbox.client.set_fault("payments", "down", drop_connection=True)
    with pytest.raises(httpx.RemoteProtocolError):
        charge(http, "while-down")
    assert "while-down" not in sandbox.client.records("charges").by_key


def test_slow_does_the_work_and_answers_late(sandbox: RunningSandbox, http: httpx.Client) -> None:
    sandbox.client.set_fault("payments", "slow", delay_seconds=0.3)
    with pytest.raises(httpx.ReadTimeout):
        http.post("/payments/charges", json=CHARGE, headers={"Idempotency-Key": "late"}, timeout=0.1)
    assert sandbox.client.records("charges").by_key["late"] == (1, 1)
    started = time.monotonic()
    assert charge(http, "late").status_code == 200
    assert time.monotonic() - started >= 0.3


def test_rate_limited_says_when_to_come_back(sandbox: RunningSandbox, http: httpx.Client) -> None:
    sandbox.client.set_fault("payments", "rate_limited", retry_after_seconds=7)
    answer = charge(http, "limited")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert "limited" not in sandbox.client.records("charges").by_key


def test_half_response_does_the_work_and_cuts_the_answer(sandbox: RunningSandbox, http: httpx.Client) -> None:
    sandbox.client.set_fault("banking", "half_response")
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/banking/payouts", json=PAYOUT | {"reference": "cut"})
    found = http.get("/banking/payouts", params={"reference": "cut"}).json()["payouts"]
    assert len(found) == 1


def test_a_fault_may_be_counted(sandbox: RunningSandbox, http: httpx.Client) -> None:
    sandbox.client.set_fault("payments", "down", times=2)
    assert [charge(http, "counted").status_code for _ in range(3)] == [503, 503, 201]
    assert sandbox.client.faults()["payments"]["mode"] == "ok"


def test_records_and_faults_survive_kill_minus_nine(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as running, httpx.Client(trust_env=False) as http:
        url = running.client.service_url("payments") + "/charges"
        for number in range(50):
            http.post(url, json=CHARGE, headers={"Idempotency-Key": f"k{number}"})
        running.client.set_fault("mail", "down")
        running.kill()
        running.restart()
        assert running.client.faults()["mail"]["mode"] == "down"
        charges = running.client.records("charges")
        assert (charges.requests, charges.effects, charges.doubled) == (50, 50, 0)
        assert http.post(url, json=CHARGE, headers={"Idempotency-Key": "k49"}).status_code == 200


def test_records_of_the_past_are_taken_in_once(sandbox: RunningSandbox, http: httpx.Client) -> None:
    past = {
        "id": "ch_past",
        "collection": "charges",
        "operation_key": "past",
        "once_key": "past",
        "body": {"amount": "5.00", "currency": "EUR"},
        "made_at": "2026-01-01T00:00:00+00:00",
    }
    assert [sandbox.client.add_history([past]) for _ in range(2)] == [1, 0]
    assert sandbox.client.records("charges").by_key["past"] == (1, 1)
    assert http.post("/payments/charges/ch_past/refunds").status_code == 201
    assert http.post("/_records", json={"records": [{"id": "x"}]}).status_code == 422


def test_one_key_sent_by_many_at_once_has_one_effect(sandbox: RunningSandbox, http: httpx.Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        ids = {answer.json()["id"] for answer in pool.map(lambda _: charge(http, "crowd"), range(64))}
    assert len(ids) == 1
    assert sandbox.client.records("charges").by_key["crowd"] == (64, 1)


def test_a_taken_port_is_told_in_one_line(sandbox: RunningSandbox, tmp_path: Path) -> None:

    command = [sys.executable, "-m", "portal.demo.sandbox", "--port", str(sandbox.port)]
    ended = subprocess.run([*command, "--store", str(tmp_path / "x")], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip() == f"The sandbox cannot listen on 127.0.0.1:{sandbox.port}: Address already in use"


def test_a_unix_socket_serves_too(tmp_path: Path) -> None:

    path = tmp_path / "s.sock"
    command = [sys.executable, "-m", "portal.demo.sandbox", "--socket", str(path)]
    with subprocess.Popen([*command, "--store", str(tmp_path / "x")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == f"sandbox ready at {path}"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as http:
            assert http.get("http://sandbox/_health").json() == {"status": "ok"}
        process.terminate()
        assert process.wait() == 0
