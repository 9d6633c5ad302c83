"""Who acts on which event, as this process's code says: workflows that start on one, and steps that wait for one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from workflows.definition import registry
from workflows.definition.event import On, WaitTerms, contract_of
from workflows.definition.step import PausingStep
from workflows.models import InboxMessage


@dataclass(frozen=True, slots=True)
class Consumer:
    """One that must act on each event of a name. ``label``: "workflow", or "workflow.step" of a wait."""

    label: str
    kind: InboxMessage.Kind
    workflow: str
    event: str
    version: int


class UnknownConsumer(LookupError):
    """The subscriber of an event is not in this worker's code."""


def label_of_wait(step: PausingStep[Any]) -> str:
    """Return the name under which the runs that stand at this step take events."""
    return f"{step.workflow}.{step.name}"


def every_consumer() -> list[Consumer]:
    """Return who acts on events: workflows as their latest version says, waits of all versions that may still run."""
    starting = [consumer for workflow in registry.registered() for consumer in _starting(workflow)]
    waiting = [consumer for workflow in registry.every_version() for consumer in _waiting(workflow)]
    return list({(consumer.label, consumer.event): consumer for consumer in starting + waiting}.values())


def consumers_of(event: str) -> list[Consumer]:
    """Return who acts on an event of this name."""
    return [consumer for consumer in every_consumer() if consumer.event == event]


def subscription(workflow: str, event: str) -> On[Any]:
    """Return what a workflow says it starts on.

    :raises UnknownConsumer: if this process's code does not say so.
    """
    try:
        subscriptions = registry.find_latest(workflow).on_event
    except KeyError:
        subscriptions = ()
    found = next((on for on in subscriptions if contract_of(on.event).name == event), None)
    if found is None:
        raise UnknownConsumer(f"No workflow {workflow} that starts on {event} is in this worker's code.")
    return found


def wait_terms(workflow: str, version: int, step: str) -> WaitTerms:
    """Return what a step of one version of a workflow waits for.

    :raises UnknownConsumer: if this process's code does not have it.
    """
    definition = registry.find(workflow, version)
    found = definition.steps.get(step) if definition else None
    if not (isinstance(found, PausingStep) and isinstance(found.terms, WaitTerms)):
        raise UnknownConsumer(f"{workflow} version {version} with its step {step} is not in this worker's code.")
    return found.terms


def _starting(workflow: registry.Definition) -> Iterator[Consumer]:
    for on in workflow.on_event:
        contract = contract_of(on.event)
        yield Consumer(workflow.name, InboxMessage.Kind.START, workflow.name, contract.name, contract.version)


def _waiting(workflow: registry.Definition) -> Iterator[Consumer]:
    for step in workflow.steps.values():
        if isinstance(step, PausingStep) and isinstance(step.terms, WaitTerms):
            contract = contract_of(step.terms.event)
            label = label_of_wait(step)
            yield Consumer(label, InboxMessage.Kind.WAIT, workflow.name, contract.name, contract.version)
