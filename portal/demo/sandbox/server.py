"""The HTTP side: keep-alive connections, a thread each, and the faults on the way in and out."""

from __future__ import annotations

import json
import logging
import math
import random
import socket
import sys
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from portal.demo.sandbox.faults import SERVICES, Faults, Mode, parse_fault
from portal.demo.sandbox.messages import Problem, Reply, Request
from portal.demo.sandbox.services import route
from portal.demo.sandbox.store import Store

logger = logging.getLogger("sandbox")
MAX_BODY = 1_000_000
MEDIAN_SECONDS = {"payments": 0.4, "banking": 0.7, "mail": 0.18, "documents": 0.05, "archive": 0.15}


class Dropped(Exception):
    """The connection is to be closed without an answer."""


class Sandbox:
    """From a request to a reply, with the faults of the service in between."""

    def __init__(self, store: Store, *, lifelike: bool = False) -> None:
        self.store = store
        self.faults = Faults(store)
        self._lifelike = lifelike

    def answer(self, request: Request) -> tuple[Reply, bool]:
        """Return the reply, and whether it is to be cut in the middle.

        :raises Dropped: if no reply is to be sent at all.
        """
        try:
            if request.path[:1] == ("_health",):
                return Reply(200, {"status": "ok"}), False
            if request.path[:1] == ("_faults",):
                return self._faults(request), False
            if request.path[:1] and request.path[0] in SERVICES:
                return self._service(request)
            return route(request.method, request.path)(self.store, request), False
        except Problem as problem:
            return problem.reply(), False

    def _service(self, request: Request) -> tuple[Reply, bool]:
        fault = self.faults.take(request.path[0])
        time.sleep(fault.latency_seconds + (self._usual_seconds(request) if self._lifelike else 0))
        if fault.mode is Mode.DOWN:
            if fault.drop_connection:
                raise Dropped
            raise Problem(503, "service-down", f"{request.path[0]} is down (switched off in the sandbox).")
        if fault.mode is Mode.RATE_LIMITED:
            problem = Problem(429, "rate-limited", f"Too many requests; wait {fault.retry_after_seconds} s.")
            return problem.reply({"Retry-After": str(fault.retry_after_seconds)}), False
        reply = self._work(request)
        if fault.mode is Mode.SLOW:
            time.sleep(fault.delay_seconds)
        if fault.mode is Mode.RENAMED:
            reply = replace(reply, body={_in_camel_case(name): value for name, value in reply.body.items()})
        return reply, fault.mode is Mode.HALF_RESPONSE and request.method != "GET"

    def _usual_seconds(self, request: Request) -> float:
        """Return how long a service of this kind takes to answer; looking something up is quick."""
        median = 0.05 if request.method == "GET" else MEDIAN_SECONDS[request.path[0]]
        return min(random.lognormvariate(math.log(median), 0.4), 3.0)

    def _work(self, request: Request) -> Reply:
        try:
            return route(request.method, request.path)(self.store, request)
        except Problem as problem:
            return problem.reply()

    def _faults(self, request: Request) -> Reply:
        if len(request.path) == 1 and request.method == "GET":
            return Reply(200, {name: fault.as_json() for name, fault in self.faults.all().items()})
        if len(request.path) != 2 or request.path[1] not in SERVICES:
            raise Problem(404, "unknown-service", f"There is {', '.join(SERVICES)}.")
        if request.method == "PUT":
            self.faults.set(request.path[1], parse_fault(request.json()))
        elif request.method != "GET":
            raise Problem(405, "method-not-allowed", "GET or PUT.")
        return Reply(200, self.faults.all()[request.path[1]].as_json())


def _in_camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


class Handler(BaseHTTPRequestHandler):
    """One connection. Buffered, so that a reply leaves in one packet."""

    protocol_version = "HTTP/1.1"
    server_version = "EvenkeelSandbox"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 120
    server: SandboxServer

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_GET

    def _serve(self) -> None:
        try:
            reply, cut = self.server.sandbox.answer(self._read())
        except Problem as problem:
            self.close_connection = True
            reply, cut = problem.reply(), False
        except Dropped:
            self.close_connection = True
            return
        content = json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.close_connection = True

    def _read(self) -> Request:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit() or int(length) > MAX_BODY:
            raise Problem(413, "body-too-large", f"Send at most {MAX_BODY} bytes, with a Content-Length.")
        parts = urlsplit(self.path)
        return Request(
            method=self.command,
            path=tuple(unquote(part) for part in parts.path.split("/") if part),
            query=dict(parse_qsl(parts.query)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )

    def address_string(self) -> str:
        """Return the peer's address; a unix socket has none."""
        return str(self.client_address[0]) if self.client_address else "socket"

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug("%s %s", self.address_string(), format % args)


class SocketHandler(Handler):
    """One connection over a unix socket, which has no Nagle algorithm to switch off."""

    disable_nagle_algorithm = False


class SandboxServer(ThreadingHTTPServer):
    """Listens on a TCP address or on a unix socket."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int] | Path, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        if isinstance(address, Path):
            self.address_family = socket.AF_UNIX
            address.unlink(missing_ok=True)
            super().__init__(str(address), SocketHandler)  # type: ignore[arg-type]
        else:
            super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without the standard library's reverse name lookup: slow, and a unix socket has no host."""
        if self.address_family == socket.AF_UNIX:
            self.socket.bind(self.server_address)
        else:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(self.server_address)
            self.server_address = self.socket.getsockname()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what broke a connection, unless it is only a peer that went away."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            logger.error("A request could not be served", exc_info=error)
