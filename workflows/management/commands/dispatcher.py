"""``manage.py dispatcher``: send runs to workers when their time has come."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from workflows.bulk.driver import running_driver
from workflows.dispatcher import Dispatcher


class Command(BaseCommand):
    """Runs one dispatcher until SIGTERM or Ctrl-C. Any number may run side by side."""

    help = "Send runs to workers when their time has come, and again when they were lost."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped."""
        dispatcher = Dispatcher()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: dispatcher.stop())
        with running_driver():
            dispatcher.run()
