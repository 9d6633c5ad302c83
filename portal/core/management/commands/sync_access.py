"""``manage.py sync_access``: give every role exactly its rights. Run it after each ``migrate``."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from portal.core.services.roles import sync_roles


class Command(BaseCommand):
    help = "Give every role exactly the rights of portal/core/permissions.py. Safe to repeat."

    def handle(self, *args: object, **options: object) -> None:
        changed = sync_roles()
        self.stdout.write(f"Roles changed: {', '.join(changed)}" if changed else "Roles are up to date.")
