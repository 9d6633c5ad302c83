"""``ctx.http`` against a real server on this machine that answers as its paths say."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from portal.core.clock import now
from workflows import http as step_http
from workflows.definition.values import Dependency, Setting
from workflows.errors import (
    ConfigurationError,
    DependencyUnavailable,
    InvalidData,
    OutcomeUnknown,
    PermanentError,
    RateLimited,
    TransientError,
    WorkflowError,
)
from workflows.http import StepClient

CORRELATION_ID = "0197f3a0c0de7000800000000000beef"


class Handler(BaseHTTPRequestHandler):
    """``/api/status/<code>``, ``/api/slow``, ``/api/half``, ``/api/half-json``, ``/api/drop``, ``/api/echo``."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        what = self.path.partition("?")[0].removeprefix("/api/").split("/")
        if what[0] == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif what[0] == "slow":
            time.sleep(0.3)
            with suppress(OSError):  # the caller has gone
                self._answer(200, {"ok": True})
        elif what[0] == "half":
            self._answer(200, {"id": "ch_1", "amount": "120.00"}, promised=500)
        elif what[0] == "half-json":
            self._send(200, b'{"id": "ch_1", "amo')
        elif what[0] == "status":
            self._answer(int(what[1]), {"title": "No", "detail": "The card has expired."})
        else:
            self._answer(200, {"headers": dict(self.headers), "client": self.client_address[1]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def _answer(self, status: int, body: dict[str, Any], promised: int = 0) -> None:
        self._send(status, json.dumps(body).encode(), promised)

    def _send(self, status: int, data: bytes, promised: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(promised or len(data)))
        if status in {429, 503}:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = self.close_connection or bool(promised)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _close_pools() -> Iterator[None]:
    yield
    for pool in step_http._pools.values():
        pool.close()
    step_http._pools.clear()


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setenv("GATEWAY_URL", f"http://127.0.0.1:{port}/api")


def client(*, idempotent: bool = True, timeout: float = 5, setting: str = "GATEWAY_URL") -> StepClient:
    return StepClient(
        Dependency("gateway", timeout=5, url=Setting(setting, kind="url")),
        timeout=timeout,
        operation_key="run-1:charge:0",
        correlation_id=CORRELATION_ID,
        idempotent=idempotent,
    )


def error_of(path: str, **options: Any) -> WorkflowError:
    with pytest.raises(WorkflowError) as caught:
        client(**options).post(path, json={})
    return caught.value


def test_a_call_carries_the_ids() -> None:
    sent = httpx.Headers(client().post("/echo", json={}).json()["headers"])
    assert sent["x-correlation-id"] == CORRELATION_ID
    assert sent["idempotency-key"] == "run-1:charge:0"
    assert sent["traceparent"].startswith(f"00-{CORRELATION_ID}-")


def test_a_call_that_only_reads_has_no_idempotency_key() -> None:
    assert "Idempotency-Key" not in client().get("/echo").json()["headers"]


def test_an_idempotency_key_of_the_author_wins() -> None:
    sent = client().post("/echo", json={}, headers={"Idempotency-Key": "mine"}).json()["headers"]
    assert httpx.Headers(sent)["idempotency-key"] == "mine"


def test_steps_share_the_connections_of_a_dependency() -> None:
    ports = set()
    for _ in range(3):
        with client() as http:
            ports.add(http.get("/echo").json()["client"])
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidData),
        (401, ConfigurationError),
        (402, PermanentError),
        (404, PermanentError),
        (408, TransientError),
        (409, PermanentError),
        (422, InvalidData),
        (429, RateLimited),
        (500, OutcomeUnknown),
        (502, DependencyUnavailable),
        (503, DependencyUnavailable),
        (504, DependencyUnavailable),
    ],
)
def test_each_bad_status_has_its_error(status: int, error: type[WorkflowError]) -> None:
    raised = error_of(f"/status/{status}")
    assert type(raised) is error
    assert f"gateway answered {status}" in raised.message
    assert "The card has expired." in raised.message
    assert raised.context["status"] == status
    assert raised.context["path"] == f"/api/status/{status}"


@pytest.mark.parametrize(
    ("status", "error"), [(502, OutcomeUnknown), (503, DependencyUnavailable), (504, OutcomeUnknown)]
)
def test_a_step_that_must_not_repeat_does_not_trust_a_gateway(status: int, error: type[WorkflowError]) -> None:
    assert type(error_of(f"/status/{status}", idempotent=False)) is error


def test_the_wish_to_wait_is_passed_on() -> None:
    limited, down = error_of("/status/429"), error_of("/status/503")
    assert isinstance(limited, RateLimited)
    assert limited.retry_after == 7
    assert isinstance(down, DependencyUnavailable)
    assert down.retry_at is not None
    assert 6 < (down.retry_at - now()).total_seconds() < 8


@pytest.mark.parametrize("path", ["/half", "/half-json", "/drop"])
def test_half_an_answer_leaves_the_outcome_unknown(path: str) -> None:
    error = error_of(path)
    assert type(error) is OutcomeUnknown
    assert error.message.endswith("whether the call had its effect is unknown")


def test_no_answer_in_time_leaves_the_outcome_unknown() -> None:
    error = error_of("/slow", timeout=0.1)
    assert type(error) is OutcomeUnknown
    assert error.message.startswith("gateway gave no answer within 0.1 s")


def test_nobody_listening_means_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("GATEWAY_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        error = error_of("/charges")
    assert isinstance(error, DependencyUnavailable)
    assert error.dependency == "gateway"


def test_a_missing_address_names_its_setting() -> None:
    with pytest.raises(ConfigurationError, match="OTHER_URL is not set"):
        client(setting="OTHER_URL")


def test_an_interrupted_call_gives_its_connection_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(*args: object, **kwargs: object) -> None:
        raise Interrupted

    http = client()
    pool = step_http._pools["gateway"]
    monkeypatch.setattr(pool, "handle_request", interrupt)
    with pytest.raises(Interrupted):
        http.get("/echo")
    assert client().get("/echo").status_code == 200


def test_an_id_that_is_no_trace_id_gives_the_same_trace_each_time() -> None:
    first, second = (step_http.traceparent("invoice 4711") for _ in range(2))
    assert first[:36] == second[:36]
    assert first != second
