"""Everything that the sandbox page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from django.db.models import Count

from portal.core.clock import now
from portal.demo.modes import BEHAVIOURS, SERVICES, Behaviour, Service, what_to_watch
from portal.demo.queries.ledger import Sheet, balance_sheet
from portal.demo.sandbox.client import Effects, SandboxClient
from portal.demo.sandbox.faults import Mode
from portal.demo.services.places import sandbox_url
from portal.demo.services.workers import local_process
from portal.demo.transfers.bank import WAITS
from workflows.engine.state import RunStatus, WaitingReason
from workflows.models import Dependency, EventWait, Heartbeat, Run

SHOWN = 12
TIMEOUT_SECONDS = 2.0
ALIVE = timedelta(seconds=15)
COLLECTIONS = {"charges": "Charges at the gateway", "payouts": "Payouts at the bank"}


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service, its present mode, and what that means. ``waiting``: runs that wait for it now."""

    service: Service
    behaviour: Behaviour
    watch: str
    breaker: str
    probe_at: datetime | None
    waiting: int

    @property
    def behaviours(self) -> Sequence[Behaviour]:
        """The modes that it can be switched to."""
        return [BEHAVIOURS[mode] for mode in self.service.modes]


@dataclass(frozen=True, slots=True)
class Operation:
    """What was asked for under one operation key, and how often it was done."""

    key: str
    run_id: UUID | None
    step: str
    requests: int
    effects: int
    is_doubled: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """The outside world's own count of one kind of effect."""

    slug: str
    title: str
    requests: int
    effects: int
    doubled: int
    operations: Sequence[Operation]

    @property
    def repeats(self) -> int:
        """How many requests asked for something that was done already, or was refused."""
        return max(self.requests - self.effects, 0)


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the outside world did under one operation key."""

    key: str
    requests: int
    records: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process of this machine that can be killed. ``run`` is what it holds now."""

    name: str
    pid: int
    seen_at: datetime
    run: Run | None


@dataclass(frozen=True, slots=True)
class SandboxState:
    """The whole page. ``problem`` says why the sandbox itself cannot be seen; then there are no services."""

    url: str
    problem: str = ""
    services: Sequence[ServiceState] = ()
    proofs: Sequence[Proof] = ()
    workers: Sequence[Worker] = ()
    ledger: Sheet | None = None
    lookup: Lookup | None = None


def sandbox_state(key: str = "") -> SandboxState:
    """Return the state of sandbox, workers and ledger as they are now.

    :param key: an operation key to look up, or "".
    """
    url, workers, ledger = sandbox_url(), local_workers(), balance_sheet()
    if not url:
        problem = "SANDBOX_URL is not set, so nothing is known of its services."
        return SandboxState("", problem, workers=workers, ledger=ledger)
    try:
        with SandboxClient(url, timeout=TIMEOUT_SECONDS) as client:
            faults = client.faults()
            lookup = Lookup(key, *client.find(key)) if key else None
            effects = {name: client.records(name, limit=SHOWN) for name in COLLECTIONS}
    except httpx.HTTPError as exc:
        problem = f"Nothing answers at {url} ({exc}). Runs that call it wait until it does."
        return SandboxState(url, problem, workers=workers, ledger=ledger)
    proofs = [_proof(name, title, effects[name]) for name, title in COLLECTIONS.items()]
    return SandboxState(url, "", _services(faults), proofs, workers, ledger, lookup)


def local_workers() -> list[Worker]:
    """Return the worker processes of this machine that live, those that hold a run first. Two queries."""
    alive = Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER, seen_at__gte=now() - ALIVE).order_by("name")
    held = Run.objects.exclude(lease_owner="").select_related("workflow")
    runs = {run.lease_owner: run for run in held.filter(status__in=[RunStatus.RUNNING, RunStatus.ROLLING_BACK])}
    workers = [
        Worker(beat.name, process.pid, beat.seen_at, runs.get(beat.name))
        for beat in alive
        if (process := local_process(beat.name)) is not None
    ]
    return sorted(workers, key=lambda worker: worker.run is None)


def _services(faults: Mapping[str, Mapping[str, Any]]) -> list[ServiceState]:
    breakers = {dependency.name: dependency for dependency in Dependency.objects.all()}
    waiting = dict(
        Run.objects.filter(status=RunStatus.WAITING, waiting_reason=WaitingReason.DEPENDENCY)
        .order_by()
        .values_list("waiting_on")
        .annotate(runs=Count("id"))
    )
    waiting[""] = EventWait.objects.filter(consumer=WAITS, closed_at=None).count()
    states = []
    for slug, service in SERVICES.items():
        mode = Mode(faults[slug]["mode"])
        breaker = breakers.get(service.dependency)
        state = ServiceState(
            service=service,
            behaviour=BEHAVIOURS[mode],
            watch=what_to_watch(service, mode),
            breaker=breaker.get_state_display() if breaker else "",
            probe_at=breaker.probe_at if breaker and breaker.state == Dependency.State.OPEN else None,
            waiting=waiting.get(service.dependency, 0),
        )
        states.append(state)
    return states


def _proof(slug: str, title: str, effects: Effects) -> Proof:
    operations = [_operation(key, *counts) for key, counts in effects.by_key.items()]
    return Proof(slug, title, effects.requests, effects.effects, effects.doubled, operations)


def _operation(key: str, requests: int, effects: int) -> Operation:
    run, _, rest = key.partition(":")
    try:
        run_id = UUID(run)
    except ValueError:
        return Operation(key, None, "", requests, effects, effects > 1)
    return Operation(key, run_id, rest.partition(":")[0], requests, effects, effects > 1)
