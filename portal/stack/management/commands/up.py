"""``manage.py up``, for the list of commands; manage.py itself runs it before there is an environment for Django."""

from __future__ import annotations

import sys

from django.core.management.base import BaseCommand

from portal.stack.up import up


class Command(BaseCommand):
    help = "Run the whole product on this machine: database, broker, web, workers and dispatcher."

    def run_from_argv(self, argv: list[str]) -> None:
        sys.exit(up(argv[2:]))
