"""Events: what workflows and the world outside tell each other, as versioned models with a name."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from portal.core.ids import uuid7
from workflows.definition import contracts
from workflows.definition.contracts import Contract
from workflows.errors import DefinitionError

_NAME = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)+")
_MAX_NAME = 120
_MAX_KEY = 200


class Event(BaseModel):
    """Something that happened, told to whoever wants to know. Declaring a subclass with a name registers it.

    ``class PaymentConfirmed(Event, name="payment.confirmed", version=1, key="invoice_number"): ...``

    :param name: two or more lower-case words joined by dots; without one the class is only a base for others.
    :param version: a changed event is a class of its own, with the next number.
    :param key: the field that says what the event is about; runs wait for an event by it.
    :param amount: the field that says what the event is worth; ``currency`` and ``customer`` likewise.
    :param within: each subscriber must have acted by then, else the event is missing in its completeness.
    :param compatibility: with the version before it. "backward": code that takes this version reads the one
        before, "forward": code that takes the one before reads this one, "full": both.
    """

    model_config = ConfigDict(frozen=True)
    __contract__: ClassVar[Contract | None] = None

    def __init_subclass__(
        cls,
        *,
        name: str = "",
        version: int = 1,
        key: str | None = None,
        amount: str | None = None,
        currency: str | None = None,
        customer: str | None = None,
        within: timedelta = timedelta(minutes=15),
        compatibility: Literal["backward", "forward", "full"] = "backward",
        **config: Any,
    ) -> None:
        """Take the options of the class statement; they are read below, when the fields are known."""
        super().__init_subclass__(**config)

    @classmethod
    def __pydantic_init_subclass__(cls, *, name: str = "", **options: Any) -> None:
        cls.__contract__ = None
        if name:
            cls.__contract__ = Contract(name=name, model=cls, declared_at=_declared_at(cls), **options)
            _check(cls.__contract__)
            contracts.register(cls.__contract__)


E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class On(Generic[E]):
    """An event that starts a run: ``Workflow(..., on_event=On(PaymentConfirmed, input=...))``.

    :param input: makes the run's input from the event; None says that the event is not for this workflow.
    :param key: makes the run's idempotency key from the event; without it each event starts one run.
    """

    event: type[E]
    input: Callable[[E], BaseModel | None]
    key: Callable[[E], str] | None = None


@dataclass(frozen=True, slots=True)
class WaitTerms:
    """The event that a run waits for, and how long."""

    event: type[Event]
    timeout: timedelta

    def described(self) -> dict[str, Any]:
        """Return the terms as plain JSON values."""
        return {"event": contract_of(self.event).described(), "timeout_seconds": self.timeout.total_seconds()}


@dataclass(frozen=True, slots=True)
class Message:
    """An event as it is sent: ``payload`` as plain JSON values, and what its class says about them."""

    id: UUID
    name: str
    version: int
    key: str
    payload: dict[str, Any]
    amount: Decimal | None
    currency: str
    customer: str


def message_of(event: Event) -> Message:
    """Return the event as it is sent, with a new id.

    :raises ValueError: for a key of more than 200 characters, or a NUL character, which cannot be stored.
    """
    contract = contract_of(type(event))
    key, currency, customer = (_text(event, name) for name in (contract.key, contract.currency, contract.customer))
    payload = event.model_dump(mode="json", by_alias=True)
    if len(key) > _MAX_KEY:
        raise ValueError(f"The key of {contract} has {len(key)} characters; {_MAX_KEY} are possible.")
    if "\\u0000" in json.dumps(payload):
        raise ValueError(f"{contract} holds a NUL character, which cannot be stored.")
    return Message(
        id=uuid7(),
        name=contract.name,
        version=contract.version,
        key=key,
        payload=payload,
        amount=_amount(getattr(event, contract.amount)) if contract.amount else None,
        currency=currency[:3],
        customer=customer[:120],
    )


def contract_of(event: type[Event]) -> Contract:
    """Return what was said in the event's class statement.

    :raises DefinitionError: for a class that was given no name.
    """
    contract = event.__contract__
    if contract is None:
        raise DefinitionError(
            f"{event.__name__} has no name that others could know it by. "
            f'Give it one: class {event.__name__}(Event, name="payment.confirmed").'
        )
    return contract


def check_subscriptions(where: str, subscriptions: Sequence[On[Any]]) -> None:
    """Check what a workflow says it starts on.

    :raises DefinitionError: for an event without a name, or one that is named twice.
    """
    names = [contract_of(on.event).name for on in subscriptions]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DefinitionError(f"{where}: on_event names {twice} twice. One On(...) takes all versions of an event.")


def check_wait(where: str, wait: WaitTerms) -> None:
    """Check what a step waits for.

    :raises DefinitionError: for an event that has no name or no key, or a time that is none.
    """
    contract = contract_of(wait.event)
    if contract.key is None:
        raise DefinitionError(
            f"{where}: {contract.name} has no key to wait for it by. "
            f'Name the field: class {wait.event.__name__}(Event, ..., key="invoice_number").'
        )
    if wait.timeout <= timedelta(0):
        raise DefinitionError(f"{where}: timeout must be longer than nothing.")


def _text(event: Event, field: str | None) -> str:
    value = getattr(event, field) if field else None
    return "" if value is None else str(value)


def _amount(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value)).quantize(Decimal("0.01"))
    except InvalidOperation:
        return None


def _check(contract: Contract) -> None:
    fields = contract.model.model_fields
    unknown = [field for field in contract.fields_named if field not in fields]
    if not _NAME.fullmatch(contract.name) or len(contract.name) > _MAX_NAME:
        problem = f'the name {contract.name!r} must be lower-case words joined by ".", such as "payment.confirmed"'
    elif contract.version < 1:
        problem = "version must be 1 or more"
    elif unknown:
        problem = f"it names {unknown[0]!r}, which is no field of {contract.model.__name__}"
    elif contract.within <= timedelta(0):
        problem = "within must be longer than nothing"
    elif contract.compatibility not in {"backward", "forward", "full"}:
        problem = f'compatibility is "backward", "forward" or "full", not {contract.compatibility!r}'
    else:
        return
    raise DefinitionError(f"{contract.declared_at}: event {contract.model.__name__}: {problem}.")


def _declared_at(cls: type[Event]) -> str:
    frame = sys._getframe(1)
    while frame.f_globals.get("__name__") != cls.__module__ and frame.f_back is not None:
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    return f"{path.parent.name}/{path.name}:{frame.f_lineno}"
