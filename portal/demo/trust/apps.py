from __future__ import annotations

from django.apps import AppConfig


class TrustConfig(AppConfig):
    name = "portal.demo.trust"
    label = "demo_trust"
