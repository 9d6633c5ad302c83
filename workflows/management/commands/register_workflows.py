"""``manage.py register_workflows``: bring the tables up to date with the workflows in the code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from workflows.services import register_workflows


class Command(BaseCommand):
    """Writes workflows, versions, teams and dependencies; run it at each deployment, after ``migrate``."""

    help = "Bring the tables up to date with the workflows in the code."

    def handle(self, *args: Any, **options: Any) -> None:
        """Register everything and say what there is."""
        for workflow in register_workflows():
            self.stdout.write(f"{workflow.slug} version {workflow.latest_version}")
