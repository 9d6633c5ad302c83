"""Every version of every event that this process knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from workflows.definition.compatibility import schemas_of
from workflows.errors import DefinitionError

if TYPE_CHECKING:
    from workflows.definition.event import Event

Compatibility = Literal["backward", "forward", "full"]


@dataclass(frozen=True)
class Contract:
    """What an event's class statement says. Fields are names of the model's fields, or None."""

    name: str
    model: type[Event]
    declared_at: str
    version: int = 1
    key: str | None = None
    amount: str | None = None
    currency: str | None = None
    customer: str | None = None
    within: timedelta = timedelta(minutes=15)
    compatibility: Compatibility = "backward"

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"

    def described(self) -> dict[str, Any]:
        """Return which event this is as plain JSON values."""
        return {"name": self.name, "version": self.version}

    @property
    def fields_named(self) -> tuple[str, ...]:
        """The fields that the class statement names."""
        named = (self.key, self.amount, self.currency, self.customer)
        return tuple(field for field in named if field is not None)

    @cached_property
    def written(self) -> dict[str, Any]:
        """The JSON schema of what is sent."""
        return schemas_of(self.model).written

    @cached_property
    def read(self) -> dict[str, Any]:
        """The JSON schema of what can be read."""
        return schemas_of(self.model).read


_known: dict[tuple[str, int], Contract] = {}


def register(contract: Contract) -> None:
    """Add an event.

    :raises DefinitionError: if the name and version are taken by another one.
    """
    key = (contract.name, contract.version)
    other = _known.get(key)
    if other is not None and other.declared_at != contract.declared_at:
        raise DefinitionError(
            f'{contract.declared_at}: event "{contract.name}" version {contract.version} is declared already, '
            f"at {other.declared_at}. Give the changed one the next version number."
        )
    _known[key] = contract


def forget(contract: Contract) -> None:
    """Take an event out again (a test's own)."""
    _known.pop((contract.name, contract.version), None)


def find(name: str, version: int) -> Contract | None:
    """Return one version, or None if this process's code does not have it."""
    return _known.get((name, version))


def versions_of(name: str) -> list[Contract]:
    """Return the known versions of an event, oldest first; none for a name that is not known."""
    return [_known[key] for key in sorted(_known) if key[0] == name]


def every_contract() -> list[Contract]:
    """Return all versions of all events, by name, oldest first."""
    return [_known[key] for key in sorted(_known)]
