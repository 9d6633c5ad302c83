"""Real PostgreSQL and Valkey for the tests: one pair per pytest session, in a temporary folder.

Loaded with ``-p tests.servers`` so that the environment is there before pytest-django loads the settings.
Under xdist the controller starts the servers and the workers inherit their addresses; each worker has a test
database (pytest-django) and a Redis database number of its own. A given DATABASE_URL or REDIS_URL is used as
it is.
``EVENKEEL_TEST_DURABLE=1`` keeps fsync on.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from portal.stack.place import Place, prepare_place
from portal.stack.process import plain_environment, spawn
from portal.stack.servers import Postgres, Server, Valkey

START_SECONDS = 20


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    os.environ["ENVIRONMENT"] = "test"
    os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "x" * 32)
    os.environ.setdefault("DEMO", "true")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        _start_missing(early_config)
    else:
        os.environ["REDIS_URL"] = _numbered(os.environ["REDIS_URL"], 1 + int(worker.removeprefix("gw")))
    return (yield)


@contextmanager
def temporary_place() -> Iterator[Place]:
    """Give a place for servers that, unlike pytest's folders, the account they run as may pass through to."""
    with tempfile.TemporaryDirectory(prefix="evenkeel-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield prepare_place(Path(folder))


def _start_missing(config: pytest.Config) -> None:
    missing = {name: make for name, make in _SERVERS.items() if name not in os.environ}
    if not missing:
        return
    cleanup = ExitStack()
    config.add_cleanup(cleanup.close)
    place = cleanup.enter_context(temporary_place())
    durable = os.environ.get("EVENKEEL_TEST_DURABLE") == "1"
    for name, make in missing.items():
        server = make(place, durable)
        _start(config, server, place.state / f"{server.name}.log")
        os.environ[name] = server.url


def _start(config: pytest.Config, server: Server, log: Path) -> None:
    server.prepare()
    with log.open("wb") as output:
        process = spawn(
            server.command,
            environment=plain_environment(),
            output=output.fileno(),
            account=server.place.account,
            folder=server.place.servers,
            death_signal=server.stop_signal,
        )
    config.add_cleanup(lambda: _stop(process, server.stop_signal))
    deadline = time.monotonic() + START_SECONDS
    while not server.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise pytest.UsageError(f"{server.name} did not start:\n{log.read_text()}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes], stop_signal: int) -> None:
    process.send_signal(stop_signal)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _numbered(url: str, number: int) -> str:
    """Return the Redis URL with another database number."""
    if url.startswith("redis+socket:"):
        return f"{url.partition('?')[0]}?virtual_host={number}"
    return re.sub(r"(/\d*)?$", f"/{number}", url, count=1)


_SERVERS: dict[str, Callable[[Place, bool], Server]] = {"DATABASE_URL": Postgres, "REDIS_URL": Valkey}
