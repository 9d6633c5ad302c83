"""Takes one safeguard out of the engine of each process whose FLOW_APPS names ``benchmarks.broken``.

Which one: ``TORTURE_BROKEN``. Never part of the product: it changes the modules that are loaded.
"""

from __future__ import annotations

import os

from django.apps import AppConfig


class BrokenConfig(AppConfig):
    name = "benchmarks.broken"
    label = "broken"

    def ready(self) -> None:
        """Break what the environment asks for."""
        from benchmarks.broken.sabotage import BROKEN

        BROKEN[os.environ["TORTURE_BROKEN"]]()
