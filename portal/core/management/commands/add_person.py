"""``manage.py add_person``: the first administrator, or anybody else."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.core.actor import SYSTEM
from portal.core.errors import InvalidInput
from portal.core.permissions import Role
from portal.core.services.people import add_person


class Command(BaseCommand):
    help = "Add a person and print their first password. Run sync_access (or prepare) before."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--role", action="append", default=[], choices=[role.value for role in Role])
        parser.add_argument("--name", default="", help="full name")
        parser.add_argument("--email", default="")

    def handle(self, *args: object, **options: str) -> None:
        roles = [Role(name) for name in options["role"]]
        try:
            made = add_person(
                actor=SYSTEM,
                username=options["username"],
                full_name=options["name"],
                email=options["email"],
                roles=roles,
                reason="Added on the command line",
            )
        except InvalidInput as exc:
            raise CommandError(" ".join(message for found in exc.fields.values() for message in found)) from exc
        self.stdout.write(f"{made.user} is added. First password, shown only now: {made.password}")
