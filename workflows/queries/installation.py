"""What an installation lacks, for `manage.py doctor`."""

from __future__ import annotations

from portal.core import clock
from workflows.definition.registry import registered
from workflows.dispatch import EVENTS
from workflows.engine.state import FINAL_RUN_STATUSES
from workflows.models import Heartbeat, InboxMessage, Run, Workflow
from workflows.queries.fleet import SILENT_AFTER


def unpolled_queues() -> list[str]:
    """Return the queues that hold runs, or events, and that no living worker takes from. Three queries."""
    workers = Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER, seen_at__gte=clock.now() - SILENT_AFTER)
    polled = {queue for queues in workers.values_list("queues", flat=True) for queue in queues}
    used = Run.objects.exclude(status__in=FINAL_RUN_STATUSES).order_by().values_list("queue", flat=True).distinct()
    to_take = InboxMessage.objects.filter(status=InboxMessage.Status.PENDING, next_attempt_at__isnull=False)
    events = {EVENTS} if to_take.exists() else set()
    return sorted({*used, *events} - polled)


def unregistered_workflows() -> list[str]:
    """Return the workflows, with their versions, that the code has and the database does not know. One query."""
    known = dict(Workflow.objects.values_list("slug", "latest_version"))
    return [f"{d.name} v{d.version}" for d in registered() if known.get(d.name, 0) < d.version]
