"""What the pages and the API show of contracts: who says what to whom, and whether each can read it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from django.db.models import Count

from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.clock import now
from portal.core.errors import NotFound
from portal.core.ids import first_uuid7
from portal.core.permissions import Permission
from workflows.definition import contracts
from workflows.definition.compatibility import Misfit, misfits
from workflows.definition.contracts import Contract
from workflows.definition.sensitive import sensitive_fields
from workflows.events.checks import every_producer
from workflows.events.consumers import Consumer, consumers_of
from workflows.events.pages.fields import Field, fields_of
from workflows.models import OutboxMessage, Workflow
from workflows.presentation import State, StateName

VOLUME_WITHIN = timedelta(days=1)
FITS, BREAKS = State(StateName.OK, "Fits"), State(StateName.FAILED, "Does not fit")
_PROMISES = {
    "backward": "Code that takes this version can read the one before.",
    "forward": "Code that takes the version before can read this one.",
    "full": "This version and the one before can each be read by code that takes the other.",
}


@dataclass(frozen=True, slots=True)
class Party:
    """A workflow that emits or acts on an event, and at which step ("": it starts on it). ``version``: which one."""

    slug: str
    title: str
    step: str
    version: int
    problems: Sequence[Misfit] = ()

    @property
    def state(self) -> State:
        """Whether it can read all that is emitted."""
        return BREAKS if self.problems else FITS


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of an event: its fields, and whether it keeps what it promises about the one before."""

    contract: Contract
    fields: Sequence[Field]
    problems: Sequence[Misfit]
    is_first: bool
    volume: int

    @property
    def state(self) -> State:
        """Whether it is compatible with the version before as it says."""
        return BREAKS if self.problems else FITS

    @property
    def promise(self) -> str:
        """What it says about the version before."""
        return _PROMISES[self.contract.compatibility]


@dataclass(frozen=True, slots=True)
class EventView:
    """An event with its versions, the latest first, and who emits and who acts on it."""

    name: str
    versions: Sequence[VersionView]
    producers: Sequence[Party]
    consumers: Sequence[Party]
    unseen: int
    """How many producers and consumers are not told, because they are others' workflows."""

    @property
    def latest(self) -> Contract:
        """What is emitted now."""
        return self.versions[0].contract

    @property
    def description(self) -> str:
        """The first line of what its author says of it."""
        lines = (self.latest.model.__doc__ or "").strip().splitlines()
        return lines[0] if lines else ""

    @property
    def volume(self) -> int:
        """How many were emitted in the last day, of all versions."""
        return sum(version.volume for version in self.versions)

    @property
    def state(self) -> State:
        """Whether all that is emitted can be read, and each version keeps its promise."""
        breaks = any(version.problems for version in self.versions) or any(each.problems for each in self.consumers)
        return BREAKS if breaks else FITS


def contract_list(actor: Actor) -> list[EventView]:
    """Return the events that concern a workflow which ``actor`` may see, by name. Two queries."""
    titles = _titles(actor)
    names = list(dict.fromkeys(contract.name for contract in contracts.every_contract()))
    concerning = [name for name in names if _parties(name) & titles.keys()]
    volumes = _volumes(concerning)
    return [_event_view(name, titles, volumes) for name in concerning]


def contract_page(actor: Actor, name: str) -> EventView:
    """Return one event. Two queries.

    :raises NotFound: if there is none of that name, or none that concerns what the actor may see.
    """
    titles = _titles(actor)
    if not contracts.versions_of(name) or not _parties(name) & titles.keys():
        raise NotFound("There is no such event, or none that you may see.")
    return _event_view(name, titles, _volumes([name]))


def _titles(actor: Actor) -> dict[str, str]:
    visible = Workflow.objects.filter(within_reach(actor, Permission.VIEW_WORKFLOW, workflow=""), retired_at=None)
    return dict(visible.values_list("slug", "title"))


def _volumes(names: Collection[str]) -> dict[tuple[str, int], int]:
    """Return how many events were emitted in the last day, by name and version; ids grow with time."""
    recent = OutboxMessage.objects.filter(name__in=names, pk__gte=first_uuid7(now() - VOLUME_WITHIN))
    counted = recent.order_by().values("name", "version").annotate(emitted=Count("pk"))
    return {(row["name"], row["version"]): row["emitted"] for row in counted}


def _parties(name: str) -> set[str]:
    return {workflow for workflow, *_ in _emitting(name)} | {consumer.workflow for consumer in consumers_of(name)}


def _event_view(name: str, titles: Mapping[str, str], volumes: Mapping[tuple[str, int], int]) -> EventView:
    known = contracts.versions_of(name)
    emitting, taking = list(_emitting(name)), consumers_of(name)
    written = [contract for _, _, contract in emitting] or known[-1:]
    return EventView(
        name=name,
        versions=list(_versions(known, volumes)),
        producers=[
            Party(workflow, titles[workflow], step, contract.version)
            for workflow, step, contract in emitting
            if workflow in titles
        ],
        consumers=[_consumer(each, titles[each.workflow], written) for each in taking if each.workflow in titles],
        unseen=len({workflow for workflow, *_ in emitting} - titles.keys())
        + len({consumer.workflow for consumer in taking} - titles.keys()),
    )


def _versions(known: Sequence[Contract], volumes: Mapping[tuple[str, int], int]) -> Iterator[VersionView]:
    before = {new: old for old, new in pairwise(known)}
    for contract in reversed(known):
        yield VersionView(
            contract=contract,
            fields=fields_of(contract.read, sensitive_fields(contract.model)),
            problems=list(_broken_promises(before[contract], contract)) if contract in before else (),
            is_first=contract not in before,
            volume=volumes.get((contract.name, contract.version), 0),
        )


def _broken_promises(old: Contract, new: Contract) -> Iterator[Misfit]:
    if new.compatibility in {"backward", "full"}:
        yield from misfits(old.written, new.read)
    if new.compatibility in {"forward", "full"}:
        yield from misfits(new.written, old.read)


def _consumer(consumer: Consumer, title: str, written: Iterable[Contract]) -> Party:
    reads = contracts.find(consumer.event, consumer.version)
    found = [misfit for each in written if reads for misfit in misfits(each.written, reads.read)]
    step = consumer.label.partition(".")[2]
    return Party(consumer.workflow, title, step, consumer.version, list(dict.fromkeys(found)))


def _emitting(name: str) -> Iterator[tuple[str, str, Contract]]:
    """Yield who emits an event: workflow, step and what it emits."""
    for producer in every_producer():
        if producer.contract.name == name:
            workflow, _, step = producer.label.partition(".")
            yield workflow, step, producer.contract
