"""What a step can ask about the run it is part of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from workflows.definition.event import Event, Message, message_of


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
    :param emits: what the step has said that it emits; None in a context that a test makes by hand.
    :param emitted: what it has emitted in this attempt.
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
    emits: tuple[type[Event], ...] | None = None
    emitted: list[Message] = field(default_factory=list)

    @property
    def http(self) -> httpx.Client:
        """An HTTP client for the dependency in ``calls=``: times out with the step, sends the correlation id and
        the operation key, and turns bad answers into this package's errors (see ``workflows.http``)."""
        return self.open_client()

    def emit(self, event: Event) -> None:
        """Tell whoever subscribes to it. It is sent exactly if this attempt becomes the step's checkpoint.

        :raises TypeError: if the step has not said that it emits this event.
        """
        if self.emits is not None and type(event) not in self.emits:
            name = type(event).__name__
            raise TypeError(
                f"{self.workflow}.{self.step} emits {name} without having said so. "
                f"Say it where the step is declared: emits=[{name}]."
            )
        self.emitted.append(message_of(event))
