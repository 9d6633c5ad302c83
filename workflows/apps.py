from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.utils.module_loading import autodiscover_modules


class WorkflowsConfig(AppConfig):
    name = "workflows"
    label = "workflows"

    def ready(self) -> None:
        """Import every app's ``flows.py`` and check what it declares, so that a mistake stops start-up."""
        from workflows.definition import registry
        from workflows.events.checks import check_contracts

        autodiscover_modules("flows")
        registry.check_all()
        register(check_contracts)
