"""``manage.py contracts check|list``: what events there are, and whether all can read each other."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workflows.definition import contracts
from workflows.definition.contracts import Contract
from workflows.events.checks import breaches, every_producer
from workflows.events.consumers import every_consumer


class Command(BaseCommand):
    """Checks or lists the contracts of events. Needs no database."""

    help = "Check that everybody can read the events that others emit, or list the events."
    requires_system_checks = ()  # it tells the same itself, in more words

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do."""
        parser.add_argument("action", choices=["check", "list"])

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was asked for.

        :raises CommandError: if somebody cannot read what somebody else writes.
        """
        if options["action"] == "list":
            for contract in contracts.every_contract():
                self.stdout.write("\n".join(_described(contract)))
            return
        found = breaches()
        for breach in found:
            self.stdout.write(f"{breach}\n    {breach.remedy}")
        if found:
            raise CommandError(f"{len(found)} of these would end in dead letters. Mend them before you deploy.")
        count = len(contracts.every_contract())
        self.stdout.write(f"{count} versions of events: everybody can read what others emit.")


def _described(contract: Contract) -> Iterator[str]:
    yield f"{contract}  {contract.model.__name__} at {contract.declared_at}"
    yield f"    {contract.compatibility} compatible, consumed within {contract.within}"
    emitters = [each.label for each in every_producer() if each.contract is contract]
    takers = [
        each.label for each in every_consumer() if (each.event, each.version) == (contract.name, contract.version)
    ]
    yield f"    emitted by {', '.join(emitters) or 'nobody in the code: it comes from outside'}"
    yield f"    taken by {', '.join(takers) or 'nobody'}"
