from __future__ import annotations

from django.apps import AppConfig


class RetentionConfig(AppConfig):
    name = "portal.demo.retention"
    label = "demo_retention"
