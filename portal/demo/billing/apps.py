from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "portal.demo.billing"
    label = "demo_billing"
