"""``manage.py up``: the whole product with one command. Runs before Django: it makes the environment."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import time
from collections.abc import Sequence
from functools import partial

from portal.demo.people import logins
from portal.stack.console import Console
from portal.stack.environment import check_port, stack_environment, whole_environment
from portal.stack.errors import StackError
from portal.stack.place import Place, prepare_place
from portal.stack.programs import Choices, portal_programs, preparation, sandbox_program, server_program
from portal.stack.running import (
    claimed,
    end_orphans,
    given_value,
    publish_environment,
    publish_processes,
    state_folder,
)
from portal.stack.servers import Postgres, Server, Valkey, broker_answers, database_answers
from portal.stack.supervisor import StopRequested, Supervisor

SERVER_SECONDS = 60
GIVEN_SERVER_SECONDS = 15
READY_SECONDS = 45


def up(arguments: Sequence[str]) -> int:
    """Run the stack until Ctrl-C; return the exit code."""
    choices = _choices(arguments)
    try:
        place = prepare_place(state_folder())
        with claimed(place.state, choices.address):
            console = Console(place.state / "log")
            if orphans := end_orphans(place.state):
                console.say(f"The last run was killed; ended what it left: {', '.join(orphans)}")
            check_port(choices)
            if choices.fresh:
                place.empty()
            _run(choices, place, console)
    except StackError as exc:
        sys.stderr.write(f"\nEvenkeel cannot start. {exc}\n")
        return 1
    return 0


def _choices(arguments: Sequence[str]) -> Choices:
    parser = argparse.ArgumentParser(
        prog="manage.py up",
        description="Run the whole product on this machine: database, broker, web, workers and dispatcher.",
    )
    parser.add_argument("--demo", action="store_true", help="with example workflows, history and live traffic")
    parser.add_argument("--fresh", action="store_true", help="throw away the data of earlier runs first")
    parser.add_argument("--host", default=os.environ.get("LISTEN", "127.0.0.1"), help="address to listen on")
    parser.add_argument("--port", type=_port, default=os.environ.get("PORT", "8000"), help="port of the web server")
    parser.add_argument("--workers", type=int, default=2, help="number of worker processes")
    parser.add_argument("--concurrency", type=int, default=2, help="runs that each worker advances at a time")
    return Choices(**vars(parser.parse_args(arguments)))


def _port(text: str) -> int:
    number = int(text)
    if not 0 < number < 65536:
        raise argparse.ArgumentTypeError(f"{number} is not a port; choose one from 1 to 65535")
    return number


def _run(choices: Choices, place: Place, console: Console) -> None:
    supervisor = Supervisor(console, on_change=lambda pids: publish_processes(place.state, pids))
    try:
        _start(choices, place, supervisor)
        while True:
            supervisor.turn(60)
    except StopRequested as exc:
        console.say(f"Stopping after {exc}")
    finally:
        supervisor.stop()
        console.say(f"Stopped. The data is kept in {place.servers}")


def _start(choices: Choices, place: Place, supervisor: Supervisor) -> None:
    console, began = supervisor.console, time.monotonic()
    added = stack_environment(choices, place)
    added |= _servers(place, supervisor)
    publish_environment(place.state, added)
    environment = whole_environment(added)
    if choices.demo:
        supervisor.start(sandbox_program(environment, place.state))
    console.say("Preparing the database")
    if code := supervisor.run_once(preparation(choices, environment)):
        raise StackError(f"Preparing the database ended with exit code {code}; the lines above say why.")
    console.say("Starting the portal")
    for program in portal_programs(choices, environment):
        supervisor.start(program)
    _announce(choices, supervisor, began)


def _servers(place: Place, supervisor: Supervisor) -> dict[str, str]:
    """Start the servers that are not given, and return their addresses; see that those which are given answer."""
    started = {}
    for variable, make, answers in (
        ("DATABASE_URL", Postgres, database_answers),
        ("REDIS_URL", Valkey, broker_answers),
    ):
        if url := given_value(variable):
            supervisor.wait_until(
                partial(answers, url),
                seconds=GIVEN_SERVER_SECONDS,
                every=0.5,
                otherwise=f"The server of {variable} does not answer. Start it, correct the address, or leave "
                f"{variable} out: then a server of our own is started.",
            )
            continue
        server: Server = make(place)
        supervisor.console.say(f"Starting {server.name}")
        supervisor.start(server_program(server))
        supervisor.wait_until(
            server.answers,
            seconds=SERVER_SECONDS,
            otherwise=f"{server.name} did not answer within {SERVER_SECONDS} seconds; the lines above say why, "
            f"and {place.state}/log/evenkeel.log has them all.",
        )
        started[variable] = server.url
    return started


def _announce(choices: Choices, supervisor: Supervisor, began: float) -> None:
    """Say that the portal is ready once its own probe says so, and what is missing when that takes long."""
    missing: list[str] = []
    complain_at = time.monotonic() + READY_SECONDS

    def ready() -> bool:
        nonlocal complain_at
        missing[:] = _not_ready(choices)
        if missing and time.monotonic() > complain_at:
            supervisor.console.say(f"Not ready yet: {'; '.join(missing)}")
            complain_at = time.monotonic() + READY_SECONDS
        return not missing

    supervisor.wait_until(ready, seconds=float("inf"), every=0.3, otherwise="")
    lines = [f"Evenkeel is ready at {choices.address}  (after {time.monotonic() - began:.0f} s; Ctrl-C stops it)"]
    if choices.demo:
        lines += ["", "    sign in as    password"]
        lines += [f"    {name:<13} {password}" for name, password in logins()]
    supervisor.console.plain("\n".join(["", *lines, ""]))


def _allowed_host() -> str:
    """Return a name that the portal answers to."""
    first = given_value("ALLOWED_HOSTS").partition(",")[0].strip().lstrip(".")
    return first if first not in {"", "*"} else "localhost"


def _not_ready(choices: Choices) -> list[str]:
    """Return what the portal's /readyz misses; empty when it is ready."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(choices.host, choices.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, choices.port, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": _allowed_host()})
        response = connection.getresponse()
        if response.status == http.HTTPStatus.OK:
            return []
        checks = json.loads(response.read())["checks"]
        return [f"{name}: {check['detail']}" for name, check in checks.items() if not check["ok"]]
    except (OSError, http.client.HTTPException):
        return ["the web server does not answer"]
    except (ValueError, KeyError):
        return [f"/readyz answers {response.status}"]
    finally:
        connection.close()
