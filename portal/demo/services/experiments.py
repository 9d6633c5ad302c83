"""What a person may try out on the sandbox page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from uuid import uuid4

import httpx

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import InvalidInput, NotFound, Unavailable
from portal.core.permissions import Permission
from portal.demo import flows
from portal.demo.cast import some_invoice, some_share
from portal.demo.modes import BEHAVIOURS, SERVICES
from portal.demo.sandbox.client import SandboxClient
from portal.demo.sandbox.faults import Mode
from portal.demo.services.places import sandbox_url
from portal.demo.services.workers import kill_worker
from workflows.models import Run
from workflows.services import StartedRun, start_run

KILL_REASON = "To be interrupted by killing its worker, from the sandbox page"
HELD_BACK_SECONDS = 4.0
CATCH_SECONDS = 6.0


def switch_service(*, actor: Actor, slug: str, mode: str) -> None:
    """Make a service of the sandbox behave in another way, until somebody switches it back.

    :raises NotFound: for a service that there is not.
    :raises InvalidInput: for a mode that there is not.
    :raises Unavailable: if the sandbox cannot be reached.
    """
    authorise(actor, Permission.OPERATE_SANDBOX)
    if slug not in SERVICES:
        raise NotFound
    modes = SERVICES[slug].modes
    if mode not in modes:
        raise InvalidInput(fields={"mode": [f"Choose one of {', '.join(modes)}."]})
    behaviour = BEHAVIOURS[Mode(mode)]
    url = sandbox_url()
    try:
        with SandboxClient(url, timeout=3) as client:
            before = client.faults()[slug]["mode"]
            client.set_fault(slug, mode, delay_seconds=behaviour.seconds)
    except httpx.HTTPError as exc:
        raise Unavailable(f"The sandbox at {url or 'no address'} does not answer; nothing was switched.") from exc
    record(
        actor=actor,
        action="demo.service.switch",
        object_type="sandbox service",
        object_id=slug,
        object_label=f"{SERVICES[slug].title} to {behaviour.label.lower()}",
        before={"mode": before},
        after={"mode": mode},
    )


def kill_in_the_middle(*, actor: Actor) -> Run | None:
    """Start a payout and kill its worker while the bank is paying; return the run.

    The bank pays at once but holds its answer back for a few seconds, so that there is a middle.
    Returns None if no worker took the run up in time; it then simply goes on.

    :raises NotFound: if the worker that took it up runs on another machine.
    :raises Unavailable: if the sandbox cannot be reached.
    """
    authorise(actor, Permission.OPERATE_SANDBOX)
    share = some_share(Random(), now())  # noqa: S311 - plausible, not secret
    share = share.model_copy(update={"fees": Decimal("9000.00")})  # small enough to need no approval
    with _answers_held_back("banking") as client:
        run = start_run(actor=actor, workflow=flows.partner_payout.name, input=share, reason=KILL_REASON).run
        payment = f"{run.pk}:{flows.send_payout.name}:0"
        deadline = time.monotonic() + CATCH_SECONDS
        while time.monotonic() < deadline:
            if payment in client.records("payouts", limit=20).by_key:
                run.refresh_from_db(fields=["lease_owner"])
                kill_worker(actor=actor, name=run.lease_owner)
                return run
            time.sleep(0.05)
    return None


@contextmanager
def _answers_held_back(service: str) -> Iterator[SandboxClient]:
    """Let a service answer late for the length of the block, unless somebody has switched it already."""
    try:
        with SandboxClient(sandbox_url(), timeout=3) as client:
            before = client.faults()[service]
            if before["mode"] == Mode.OK:
                client.set_fault(service, Mode.SLOW, delay_seconds=HELD_BACK_SECONDS)
            try:
                yield client
            finally:
                if before["mode"] == Mode.OK:
                    client.set_fault(service, **before)
    except httpx.HTTPError as exc:
        raise Unavailable("The sandbox does not answer, so there is no payment to interrupt.") from exc


def send_twice(*, actor: Actor) -> tuple[StartedRun, StartedRun]:
    """Start the same settlement twice with one idempotency key, as an impatient caller would."""
    authorise(actor, Permission.OPERATE_SANDBOX)
    invoice = _some_invoice()
    key = f"twice-{uuid4().hex[:12]}"
    reason = "Sent twice with one idempotency key, from the sandbox page"
    first, second = (
        start_run(
            actor=actor,
            workflow=flows.settle_invoice.name,
            input=invoice,
            idempotency_key=key,
            reason=reason,
        )
        for _ in range(2)
    )
    return first, second


def _some_invoice() -> flows.Invoice:
    moment = now()
    return some_invoice(Random(), int(moment.timestamp()) % 1_000_000, moment)  # noqa: S311 - plausible, not secret
