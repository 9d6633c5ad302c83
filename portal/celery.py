"""The Celery application."""

from __future__ import annotations

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import celeryd_after_setup, celeryd_init, worker_process_init

from portal.stack.process import end_with_parent
from workflows.definition import registry
from workflows.dispatch import EVENTS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.set_default()  # for every thread, not only for the one that imports this


@worker_process_init.connect
def end_with_the_worker(**kwargs: object) -> None:
    """Let a pool process end when its worker is killed, which Celery leaves to chance."""
    end_with_parent(signal.SIGKILL, os.getppid())


@celeryd_init.connect
def remember_whether_queues_were_named(conf: Any, options: dict[str, Any], **kwargs: object) -> None:
    """Keep what the command line said of -Q: later nobody can tell."""
    conf.takes_every_queue = not options.get("queues")


@celeryd_after_setup.connect
def take_every_queue(instance: Any, conf: Any, **kwargs: object) -> None:
    """Let a worker that was told no queues serve each that a workflow names, and the events."""
    if conf.takes_every_queue:
        for queue in {EVENTS, *(definition.queue for definition in registry.every_version())}:
            instance.app.amqp.queues.select_add(queue)
