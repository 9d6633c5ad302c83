"""What a step can ask about the run it is part of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx


def _no_client() -> httpx.Client:
    raise RuntimeError("This step declares no calls=, so it has no ctx.http. Name the dependency that it calls.")


@dataclass(slots=True)
class StepContext:
    """The run and attempt that a step's function is called for.

    :param operation_key: the same on every attempt, resume and retry of this step of this run; send it along
        so that the other side can tell a repeat from a new request.
    :param attempt: 1 for the first try.
    :param lock_token: of a step with ``lock=``: a number that grows each time the lock is taken. Whoever stores it
        beside what the lock protects can refuse a writer with a lower one.
    """

    run_id: UUID
    workflow: str
    step: str
    attempt: int
    operation_key: str
    correlation_id: str
    started_by: str
    lock_token: int | None = None
    log: Any = field(default_factory=lambda: logging.getLogger("workflows.step"))
    open_client: Callable[[], httpx.Client] = _no_client

    @property
    def http(self) -> httpx.Client:
        """An HTTP client for the dependency in ``calls=``: times out with the step, sends the correlation id and
        the operation key, and turns bad answers into this package's errors (see ``workflows.http``)."""
        return self.open_client()
