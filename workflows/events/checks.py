"""Whether those who read events can read what others write; told at start-up and by ``contracts check``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.core.checks import CheckMessage, Error

from workflows.definition import contracts, registry
from workflows.definition.compatibility import misfits
from workflows.definition.contracts import Contract
from workflows.definition.event import contract_of
from workflows.errors import DefinitionError
from workflows.events.consumers import every_consumer


@dataclass(frozen=True, slots=True)
class Breach:
    """Somebody cannot read what somebody else writes. ``writer`` and ``reader`` say who, in words."""

    event: str
    written_version: int
    read_version: int
    field: str
    problem: str
    writer: str
    reader: str
    remedy: str

    def __str__(self) -> str:
        field = f"field {self.field}" if self.field else "the payload"
        return f"{self.event}: {self.writer}, which {self.reader} cannot read: {field} {self.problem}."


@dataclass(frozen=True, slots=True)
class Producer:
    """A step that may emit a version of an event."""

    label: str
    contract: Contract


def breaches() -> list[Breach]:
    """Return what does not fit: between versions that follow each other, and between producers and consumers."""
    return [*_between_versions(), *_between_producers_and_consumers()]


def every_producer() -> list[Producer]:
    """Return the steps that say that they emit something, of all workflows' latest versions."""
    return [
        Producer(f"{workflow.name}.{step.name}", contract_of(event))
        for workflow in registry.registered()
        for step in workflow.steps.values()
        for event in step.options.emits
    ]


def refuse_breaches() -> None:
    """Stop if somebody cannot read what somebody else writes.

    :raises DefinitionError: with all breaches, one a line.
    """
    found = breaches()
    if found:
        raise DefinitionError("\n".join(f"{breach} {breach.remedy}" for breach in found))


def check_contracts(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Tell Django's system check about each breach."""
    return [Error(str(breach), hint=breach.remedy, id="workflows.E001") for breach in breaches()]


def _between_versions() -> Iterator[Breach]:
    for older, newer in pairwise(contracts.every_contract()):
        if older.name != newer.name:
            continue
        mode = newer.compatibility
        if mode in {"backward", "full"}:
            yield from _compared(older, newer, f"version {older.version} is written", f"version {newer.version}")
        if mode in {"forward", "full"}:
            yield from _compared(newer, older, f"version {newer.version} is written", f"version {older.version}")


def _between_producers_and_consumers() -> Iterator[Breach]:
    for producer in every_producer():
        written = producer.contract
        for consumer in every_consumer():
            read = contracts.find(consumer.event, consumer.version)
            if consumer.event == written.name and read is not None and read is not written:
                writer = f"{producer.label} emits version {written.version}"
                yield from _compared(written, read, writer, f"{consumer.label} (version {read.version})")


def _compared(written: Contract, read: Contract, writer: str, reader: str) -> Iterator[Breach]:
    for misfit in misfits(written.written, read.read):
        yield Breach(
            event=written.name,
            written_version=written.version,
            read_version=read.version,
            field=misfit.field,
            problem=misfit.problem,
            writer=writer,
            reader=reader,
            remedy=_remedy(written, read),
        )


def _remedy(written: Contract, read: Contract) -> str:
    """Say how to mend it, in the class of the newer version."""
    newer = max(written, read, key=lambda contract: contract.version)
    where = f"{newer.model.__name__} ({newer.declared_at})"
    if read is newer:
        return f"Give what is new in {where} a default, or accept what version {written.version} writes."
    return f"Let {where} go on writing what version {read.version} reads, or move that reader to it first."
