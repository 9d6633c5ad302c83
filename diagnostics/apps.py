from __future__ import annotations

from datetime import timedelta

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class DiagnosticsConfig(AppConfig):
    name = "diagnostics"
    label = "diagnostics"

    def ready(self) -> None:
        """Import every app's ``reconciliations.py`` (its ``flows.py`` has been), and have checks started when due."""
        from diagnostics.reconciliation.services import start_due_reconciliations
        from portal.core.chores import Chore, add_chore

        autodiscover_modules("reconciliations")
        add_chore(Chore("start-reconciliations", timedelta(seconds=30), start_due_reconciliations))
