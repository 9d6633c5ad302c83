"""``python -m benchmarks.faults.load starter SEED`` starts runs, ``… people SEED`` commands them, both until stopped.

The starter writes down, and syncs to disk, what it wants before it asks and what it was told afterwards. It may be
killed at any moment. Half of its requests go through the web server's API, half through Python; some go twice.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import django

django.setup()

import httpx  # noqa: E402 - after the set-up
from celery import signature  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import Error as DatabaseError  # noqa: E402
from django.db import connection  # noqa: E402
from pydantic import BaseModel  # noqa: E402

from benchmarks.probes import flows  # noqa: E402
from portal.core.actor import SYSTEM, person  # noqa: E402
from portal.core.clock import now  # noqa: E402
from portal.core.errors import PortalError  # noqa: E402
from portal.core.models import User  # noqa: E402
from portal.core.permissions import Permission  # noqa: E402
from portal.core.services.tokens import create_token  # noqa: E402
from portal.demo.cast import some_invoice, some_share  # noqa: E402
from portal.demo.flows import partner_payout, settle_invoice  # noqa: E402
from portal.demo.people import MONA, OLGA  # noqa: E402
from portal.demo.sandbox.client import SandboxClient  # noqa: E402
from portal.demo.trust.flows import StatementDay, trust_account_reconciliation  # noqa: E402
from workflows import dispatch, services  # noqa: E402
from workflows.models import ApprovalRequest, Run, StepRun  # noqa: E402

WHY = "The torture test wants to see what happens."
PLENTY = 150  # so many unfinished runs are load enough
PEOPLE_SECONDS = 0.4
REPEATED = 0.1  # share of starts that are asked for twice


KINDS: dict[str, tuple[Callable[[random.Random, int], BaseModel], int]] = {
    settle_invoice.name: (lambda rng, number: some_invoice(rng, number % 100_000, now()), 8),
    partner_payout.name: (lambda rng, number: some_share(rng, now()), 7),
    trust_account_reconciliation.name: (lambda rng, number: StatementDay(day=now().date()), 1),
    flows.sale.name: (lambda rng, number: flows.Sale(number=number), 6),
    flows.batch.name: (lambda rng, number: flows.Batch(number=number, size=rng.randint(1, 12)), 2),
}


def some_start(rng: random.Random, number: int) -> tuple[str, BaseModel]:
    """Return a workflow and an input for it."""
    (kind,) = rng.choices(list(KINDS), weights=[weight for _, weight in KINDS.values()])
    return kind, KINDS[kind][0](rng, number)


# Starting ---------------------------------------------------------------------------------------------


class Starter:
    """Starts runs, and keeps a durable log of what it wanted and what it got."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - not for secrets
        self.log: TextIO = open(os.environ["TORTURE_ACCEPTED"], "a")  # noqa: SIM115 - open for the process's life
        self.web = _client()

    def turn(self, number: int) -> None:
        """Start one run, however often the installation is away."""
        workflow, data = some_start(self.rng, number)
        key = f"torture:{number}:{os.getpid()}"
        self._note("wanted", key, workflow)
        for _ in range(2 if self.rng.random() < REPEATED else 1):
            self._note("accepted", key, self._insist(workflow, data, key))

    def _insist(self, workflow: str, data: BaseModel, key: str) -> str:
        ask: Callable[[str, BaseModel, str], str] = self._by_web if self.rng.random() < 0.5 else _by_python
        while True:
            try:
                return ask(workflow, data, key)
            except (DatabaseError, PortalError, httpx.HTTPError):
                connection.close()
                time.sleep(0.2)

    def _by_web(self, workflow: str, data: BaseModel, key: str) -> str:
        answer = self.web.post(
            f"/api/v1/workflows/{workflow}/runs/",
            json={"input": data.model_dump(mode="json")},
            headers={"Idempotency-Key": key},
        )
        return str(answer.raise_for_status().json()["id"])

    def _note(self, *words: str) -> None:
        print(*words, file=self.log, flush=True)
        os.fsync(self.log.fileno())


def _by_python(workflow: str, data: BaseModel, key: str) -> str:
    return str(services.start_run(actor=SYSTEM, workflow=workflow, input=data, idempotency_key=key).run.pk)


def start_for_ever(seed: str) -> None:
    """Start runs as long as there are not plenty under way."""
    starter, number = Starter(seed), 0
    while True:
        while _under_way() >= PLENTY:
            time.sleep(0.2)
        starter.turn(number)
        number += 1


def _under_way() -> int:
    try:
        return Run.objects.filter(ended_at=None).exclude(status="paused").count()
    except DatabaseError:
        connection.close()
        return PLENTY


# People -----------------------------------------------------------------------------------------------


class People:
    """Everybody who can touch a run, in the mood to do so. What is refused is refused."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - not for secrets
        self.web = _client()
        self.manager = person(User.objects.get(username=MONA.username))
        self.acts: tuple[tuple[Callable[[Run], object], int], ...] = (
            (self.command("pause", services.pause_run), 3),
            (self.command("resume", services.resume_run), 6),
            (self.command("cancel", services.cancel_run), 1),
            (self.command("rollback", services.roll_back_run), 3),
            (self.retry, 2),
            (self.decide, 6),
            (self.deliver_again, 6),
            (self.answer, 6),
        )

    def turn(self) -> None:
        """Do something to somebody's run."""
        (act,) = self.rng.choices([act for act, _ in self.acts], [weight for _, weight in self.acts])
        wanted = ["paused"] if act == self.decide else ["queued", "running", "waiting", "paused", "failed"]
        chosen = Run.objects.filter(status__in=wanted if self.rng.random() < 0.9 else ["succeeded", "degraded"])
        runs = list(chosen.select_related("workflow").order_by("-id")[:200])
        if runs:
            act(self.rng.choice(runs))

    def command(self, name: str, service: Callable[..., Run]) -> Callable[[Run], object]:
        """Return a command that is given through the web or through Python."""

        def act(run: Run) -> object:
            if self.rng.random() < 0.5:
                return self.web.post(f"/api/v1/runs/{run.pk}/{name}/", json={"reason": WHY})
            return service(actor=SYSTEM, run_id=run.pk, reason=WHY)

        return act

    def retry(self, run: Run) -> None:
        """Run a step again with all that follow."""
        names = list(StepRun.objects.filter(run=run).values_list("step", flat=True))
        if names:
            services.retry_from_step(actor=SYSTEM, run_id=run.pk, step=self.rng.choice(names), reason=WHY)

    def decide(self, run: Run) -> None:
        """Look into the bank's books and say what happened."""
        for row in StepRun.objects.filter(run=run, status="uncertain"):
            with SandboxClient(os.environ["SANDBOX_URL"]) as client:
                _, records = client.find(row.operation_key)
            output = {name: records[0][name] for name in ("id", "amount", "currency")} if records else None
            services.decide_step(
                actor=SYSTEM, run_id=run.pk, step=row.step, happened=bool(records), output=output, reason=WHY
            )

    def answer(self, run: Run) -> None:
        """Approve or reject whatever anybody has asked."""
        for request in ApprovalRequest.objects.filter(status=ApprovalRequest.Status.OPEN)[:20]:
            say = services.reject_step if self.rng.random() < 0.1 else services.approve_step
            say(actor=self.manager, run_id=request.run_id, reason=WHY)

    def deliver_again(self, run: Run) -> None:
        """Let the broker deliver a message again that it has delivered before, to several workers."""
        for _ in range(4):
            signature(dispatch.ADVANCE_RUNS).apply_async(args=(run.queue,), queue=run.queue, retry=False)


def command_for_ever(seed: str) -> None:
    """Give commands until stopped, whatever becomes of them."""
    people = People(seed)
    while True:
        try:
            people.turn()
        except (DatabaseError, PortalError, httpx.HTTPError, *dispatch.UNREACHABLE):
            connection.close()
        time.sleep(people.rng.expovariate(1 / PEOPLE_SECONDS))


# Setting up -------------------------------------------------------------------------------------------


def prepare(seed: str = "") -> None:
    """Make the demo's people, and print a token of the operator's as JSON."""
    call_command("sync_access", verbosity=0, stdout=sys.stderr)
    call_command("seed_demo", people_only=True, verbosity=0, stdout=sys.stderr)
    scopes = {Permission.START_RUN, Permission.VIEW_RUN, Permission.RESUME_RUN, Permission.ROLL_BACK_RUN}
    scopes |= {Permission.PAUSE_RUN, Permission.CANCEL_RUN}
    actor = person(User.objects.get(username=OLGA.username))
    made = create_token(actor=actor, name="torture", scopes=scopes)
    print(json.dumps({"TORTURE_TOKEN": made.secret}))


def _client() -> httpx.Client:
    token = os.environ["TORTURE_TOKEN"]
    return httpx.Client(
        base_url=os.environ["TORTURE_WEB"], headers={"Authorization": f"Bearer {token}"}, timeout=5, trust_env=False
    )


VERBS: dict[str, Callable[[str], Any]] = {
    "prepare": prepare,
    "starter": start_for_ever,
    "people": command_for_ever,
}

if __name__ == "__main__":
    VERBS[sys.argv[1]](sys.argv[2] if len(sys.argv) > 2 else "")
