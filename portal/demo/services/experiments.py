"""What a person may try out on the sandbox page."""

from __future__ import annotations

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
from portal.demo.cast import some_invoice
from portal.demo.modes import BEHAVIOURS, SERVICES
from portal.demo.sandbox.client import SandboxClient
from portal.demo.sandbox.faults import Mode
from portal.demo.services.places import sandbox_url
from workflows.services import StartedRun, start_run


def switch_service(*, actor: Actor, slug: str, mode: str) -> None:
    """Make a service of the sandbox behave in another way, until somebody switches it back.

    :raises NotFound: for a service that there is not.
    :raises InvalidInput: for a mode that there is not.
    :raises Unavailable: if the sandbox cannot be reached.
    """
    authorise(actor, Permission.OPERATE_SANDBOX)
    if slug not in SERVICES:
        raise NotFound
    if mode not in set(Mode):
        raise InvalidInput(fields={"mode": [f"Choose one of {', '.join(Mode)}."]})
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
        object_label=SERVICES[slug].title,
        before={"mode": before},
        after={"mode": mode},
    )


def send_twice(*, actor: Actor) -> tuple[StartedRun, StartedRun]:
    """Start the same settlement twice with one idempotency key, as an impatient caller would."""
    authorise(actor, Permission.OPERATE_SANDBOX)
    moment = now()
    rng = Random()  # noqa: S311 - plausible, not secret
    invoice = some_invoice(rng, int(moment.timestamp()) % 1_000_000, moment)
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
