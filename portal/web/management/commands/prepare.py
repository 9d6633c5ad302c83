"""``manage.py prepare``: everything that must have run before a new version takes work."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management import call_command
from django.core.management.base import BaseCommand

STEPS = ("migrate", "sync_access", "register_workflows")
DEMO_STEPS = ("seed_demo",)


class Command(BaseCommand):
    help = (
        "Migrate, give the roles their rights and register the workflows. Safe to repeat; run it in each deployment."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo", action="store_true", help="also make the demo's people and history")

    def handle(self, *args: object, demo: bool, **options: object) -> None:
        for name in (*STEPS, *(DEMO_STEPS if demo else ())):
            self.stdout.write(f"{name} …")
            call_command(name, stdout=self.stdout, stderr=self.stderr, verbosity=0)
