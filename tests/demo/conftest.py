"""The sandbox as a real process, and flows that call it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.demo.sandbox.client import RunningSandbox, running_sandbox


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for the session."""
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def sandbox(sandbox_process: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """The sandbox, well, and named in the environment that flows read."""
    for name, value in sandbox_process.client.environment().items():
        monkeypatch.setenv(name, value)
    yield sandbox_process
    for service in ("payments", "banking", "mail", "documents", "archive", "notices"):
        sandbox_process.client.set_fault(service)
