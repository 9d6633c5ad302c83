"""The Celery application."""

from __future__ import annotations

import os
import signal

from celery import Celery
from celery.signals import worker_process_init

from portal.stack.process import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # for every thread, not only for the one that imports this


@worker_process_init.connect
def end_with_the_worker(**kwargs: object) -> None:
    """Let a pool process end when its worker is killed, which Celery leaves to chance."""
    end_with_parent(signal.SIGKILL, os.getppid())
