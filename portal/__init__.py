"""The portal. Its Celery application is made with it: whoever sends a task needs it, not only the workers."""

from __future__ import annotations

from portal.celery import app as celery_app

__all__ = ["celery_app"]
