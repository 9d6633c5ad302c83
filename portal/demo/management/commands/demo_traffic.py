"""``manage.py demo_traffic``: starts real runs, gently and for ever."""

from __future__ import annotations

import logging
import signal
from types import FrameType

from django.core.management.base import BaseCommand

from portal.demo.services.traffic import Traffic

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Start real runs of the demo's workflows every few seconds, fewer at night. Ends on Ctrl-C."

    def handle(self, *args: object, **options: object) -> None:
        signal.signal(signal.SIGTERM, _stop)
        try:
            Traffic().run()
        except KeyboardInterrupt:
            log.info("The demo's traffic has stopped.")


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
