from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel

from portal.core.actor import SYSTEM
from tests.engine import drive, flows
from workflows import Effect, Sensitive, StepContext, TransientError, Workflow
from workflows.definition.sensitive import sensitive_fields
from workflows.models import Attempt, RunEvent, StepRun
from workflows.services import start_run


class Card(BaseModel):
    number: Annotated[str, Sensitive()]
    brand: str


class Person(BaseModel):
    name: Annotated[str | None, Sensitive()] = None
    card: Card | None = None
    spare: list[Card] = []
    by_use: dict[str, Card] = {}
    friend: Person | None = None
    tags: dict[str, str] = {}


EVERYTHING = ["name", "card.number", "spare.number", "by_use"]


def test_marks_are_found_at_every_depth() -> None:
    assert sensitive_fields(Person) == EVERYTHING
    assert sensitive_fields(Card) == ["number"]


def test_a_step_may_give_a_list_or_nothing() -> None:
    assert sensitive_fields(list[Card]) == ["number"]
    assert sensitive_fields(Card | None) == ["number"]
    assert sensitive_fields(None) == sensitive_fields(bool) == sensitive_fields(dict[str, str]) == []


class Payer(BaseModel):
    """Who pays, and with what."""

    card: Card
    nick: Annotated[str, Sensitive()] = "al"


class Permit(BaseModel):
    """What a step gives that few may see."""

    token: Annotated[str, Sensitive()]


card_flow = Workflow(
    "test-card", version=1, owner="test-team", input=Payer, objective=flows.OBJECTIVE, runbook="test"
)


@card_flow.step(effect=Effect.PURE)
def permit(payer: Payer) -> Permit:
    """Give something sensitive to the next step."""
    return Permit(token="tok-8812-secret")


@card_flow.step(effect=Effect.EXTERNAL, retry=flows.FAST)
def draw(payer: Payer, permit: Permit, ctx: StepContext) -> None:
    """Fail, and quote everything."""
    try:
        raise ConnectionResetError(f"closed on {payer.card.number}")
    except ConnectionResetError as exc:
        message = f"{payer.nick} could not draw from {payer.card.brand} {payer.card.number} with {permit.token}"
        raise TransientError(message, card=payer.card.number) from exc


@pytest.mark.django_db
def test_an_error_that_is_kept_quotes_nothing_sensitive() -> None:
    payer = Payer(card=Card(number="4111222233334444", brand="visa"))
    run = drive.drive(start_run(actor=SYSTEM, workflow="test-card", input=payer).run)
    assert run.error is not None
    # "al" stays: so short a text is a part of too many words.
    assert run.error["message"] == "al could not draw from visa ••• with •••"
    assert run.error["context"] == {"card": "•••"}
    assert [cause["message"] for cause in run.error["chain"]] == ["closed on •••"]
    kept = [
        *StepRun.objects.filter(run=run, step="draw").values_list("error", flat=True),
        *Attempt.objects.filter(run=run).values_list("error", flat=True),
        *RunEvent.objects.filter(run=run).values_list("data", flat=True),
    ]
    assert all("4111222233334444" not in str(each) and "tok-8812" not in str(each) for each in kept)
