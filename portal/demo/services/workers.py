"""Killing a worker on purpose, to see that nothing is lost."""

from __future__ import annotations

import psutil
from django.conf import settings

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.errors import Forbidden, NotFound
from portal.core.permissions import Permission
from workflows.engine.holder import identity
from workflows.models import Heartbeat, Run


def local_process(name: str) -> psutil.Process | None:
    """Return the process of this very machine that a heartbeat's name speaks of, or None if it is not here.

    A process id may have been given to another program since; the start time in the name tells.
    """
    place, pid, started = _parts(name)
    if place != _parts(identity())[0] or not pid.isdigit():
        return None
    try:
        process = psutil.Process(int(pid))
        return process if f"{process.create_time():.2f}" == started else None
    except psutil.Error:
        return None


def kill_worker(*, actor: Actor, name: str) -> Run | None:
    """End a worker process of this machine as a crash would (SIGKILL); return the run that it held, if any.

    :raises Forbidden: outside the demo.
    :raises NotFound: if there is no such worker process on this machine.
    """
    authorise(actor, Permission.OPERATE_SANDBOX)
    if not settings.DEMO:
        raise Forbidden("Workers are killed on purpose in the demo only.")
    known = Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER, name=name).exists()
    process = local_process(name) if known else None
    if process is None:
        raise NotFound("That worker process is gone already, or runs on another machine.")
    run = Run.objects.select_related("workflow").filter(lease_owner=name).first()
    process.kill()
    record(
        actor=actor,
        action="demo.worker.kill",
        object_type="worker",
        object_id=name,
        object_label=f"worker process {process.pid}",
        after={"run": str(run.id)} if run else None,
    )
    return run


def _parts(name: str) -> tuple[str, str, str]:
    """Split "host:namespace:pid:start" into place, process id and start time."""
    place, _, started = name.rpartition(":")
    place, _, pid = place.rpartition(":")
    return place, pid, started
