"""The environment that `up` makes for the processes it starts, as far as nobody has given it already."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

import psutil

from portal.stack.errors import StackError
from portal.stack.place import Place
from portal.stack.programs import Choices
from portal.stack.running import is_given


def stack_environment(choices: Choices, place: Place) -> dict[str, str]:
    """Return what is to be added to the given environment, without the servers' addresses."""
    made = {
        "SECRET_KEY": place.secret("secret_key"),
        "ENVIRONMENT": "development",
        "DEMO": "true" if choices.demo else "false",
    }
    if choices.demo:
        sandbox = f"http://127.0.0.1:{_free_port(choices.port + 1)}"
        made["SANDBOX_URL"] = sandbox
        called = ("payments", "banking", "mail", "documents", "archive")
        made |= {f"{name.upper()}_URL": f"{sandbox}/{name}" for name in called}
    return {name: value for name, value in made.items() if not is_given(name)}


def check_port(choices: Choices) -> None:
    """See that the web server will get its port.

    :raises StackError: with the name of the program that has it.
    """
    family = socket.AF_INET6 if ":" in choices.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((choices.host, choices.port))
        except OSError as exc:
            raise StackError(
                f"Port {choices.port} on {choices.host} cannot be used: {exc.strerror}{_holder(choices.port)}. "
                f"Free it, or choose another: make run PORT={choices.port + 1}"
            ) from exc


def _holder(port: int) -> str:
    try:
        pids: Iterable[int] = {
            entry.pid
            for entry in psutil.net_connections("tcp")
            if entry.status == psutil.CONN_LISTEN and entry.laddr and entry.laddr.port == port and entry.pid
        }
        names = [f"{psutil.Process(pid).name()}, process {pid}" for pid in sorted(pids)]
    except psutil.Error:
        return ""
    return f" ({'; '.join(names)})" if names else ""


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return int(probe.getsockname()[1])
    raise StackError("This machine has no free TCP port on 127.0.0.1.")


def whole_environment(added: dict[str, str]) -> dict[str, str]:
    """Return the environment of a process of the portal."""
    return {**os.environ, **added, "DJANGO_SETTINGS_MODULE": "portal.settings", "PYTHONUNBUFFERED": "1"}
