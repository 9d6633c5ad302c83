"""The portal's own processes: whether what the pages show is still moving."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Max

from portal.core import clock
from workflows.models import Heartbeat

SILENT_AFTER = timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class Fleet:
    """When a dispatcher and a worker were last heard. None: never, or so long ago that it is forgotten."""

    dispatcher_at: datetime | None
    worker_at: datetime | None
    now: datetime

    @property
    def has_dispatcher(self) -> bool:
        return _is_heard(self.dispatcher_at, self.now)

    @property
    def has_worker(self) -> bool:
        return _is_heard(self.worker_at, self.now)

    @property
    def missing(self) -> list[str]:
        """The kinds of process that are not heard."""
        heard = {"dispatcher": self.has_dispatcher, "worker": self.has_worker}
        return [kind for kind, is_heard in heard.items() if not is_heard]

    @property
    def silent_since(self) -> datetime | None:
        """When the first of the missing was last heard; None if that is not known."""
        last = {"dispatcher": self.dispatcher_at, "worker": self.worker_at}
        return min((at for kind in self.missing if (at := last[kind])), default=None)

    @property
    def can_see(self) -> bool:
        """Whether runs move at all, so that quiet means well."""
        return not self.missing


def fleet() -> Fleet:
    """Return who is alive. One query."""
    seen = dict(Heartbeat.objects.order_by().values_list("kind").annotate(Max("seen_at")))
    return Fleet(seen.get(Heartbeat.Kind.DISPATCHER), seen.get(Heartbeat.Kind.WORKER), clock.now())


def _is_heard(at: datetime | None, now: datetime) -> bool:
    return at is not None and now - at <= SILENT_AFTER
