"""``manage.py seed_demo``: the demo's people, teams and thirty days of history. Safe to repeat."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from portal.core.errors import PortalError
from portal.demo import flows
from portal.demo.people import logins
from portal.demo.services.history import tell_the_sandbox_if_it_listens, write_history
from portal.demo.services.people import make_people
from portal.demo.services.places import sandbox_url
from portal.demo.trust.flows import trust_account_reconciliation
from workflows.models import Workflow


class Command(BaseCommand):
    help = "Make the demo's people, teams and thirty days of history. A second run adds nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--people-only", action="store_true", help="no history")

    def handle(self, *args: object, people_only: bool, **options: object) -> None:
        try:
            people = make_people()
        except PortalError as exc:
            raise CommandError(exc.message) from exc
        if people_only:
            self.stdout.write(f"{people} people made")
            return
        wanted = {flows.settle_invoice.name, flows.partner_payout.name, trust_account_reconciliation.name}
        missing = wanted - set(Workflow.objects.values_list("slug", flat=True))
        if missing:
            raise CommandError(f"Run `manage.py register_workflows` first: {', '.join(sorted(missing))} is missing.")
        runs = write_history()
        url = sandbox_url()
        told = tell_the_sandbox_if_it_listens(url) if url else None
        self.stdout.write(
            f"{people} people and {runs} runs of history made, {told or 0} records given to the sandbox"
        )
        if options["verbosity"]:
            self.stdout.write("".join(f"\n  {username:<13} {password}" for username, password in logins()))
