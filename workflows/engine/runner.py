"""Advancing a run: claim it, do what can be done now, let it go."""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from structlog.contextvars import bound_contextvars

from portal.core.correlation import correlated
from portal.core.errors import LeaseLost
from workflows.definition import registry
from workflows.engine import crash_points, store
from workflows.engine.forward import Forward
from workflows.engine.holder import Held, holder, identity
from workflows.engine.interrupt import LeaseTaken
from workflows.engine.rollback import Rollback
from workflows.engine.session import Relay, Session
from workflows.engine.state import RunStatus, WaitingReason
from workflows.engine.store import Claimed, EventWrite, Release, Writes
from workflows.errors import ConfigurationError

log = logging.getLogger(__name__)
RECHECK_SECONDS = 60.0


def advance(run_id: UUID) -> None:
    """Take this run as far as it goes now. Does nothing if it is finished, waits, or is held by another worker."""
    claimed = store.claim(run_id, identity())
    if claimed is not None:
        advance_claimed(claimed)


def take_first(queue: str) -> tuple[Claimed | None, bool]:
    """Claim the oldest run of the queue, if there is one; and tell whether there are more."""
    crash_points.reach("worker.before_claim")
    return store.claim_first(queue, identity())


def take_next(queue: str) -> Claimed | None:
    """Claim the oldest run of the queue, if there is one."""
    crash_points.reach("worker.before_claim")
    return store.claim_next(queue, identity())


def advance_claimed(claimed: Claimed, relay: Relay | None = None) -> None:
    """Take a claimed run as far as it goes now, and let it go; with a relay, take another by the same statement."""
    crash_points.reach("worker.after_claim")
    with (
        correlated(claimed.correlation_id),
        bound_contextvars(run_id=str(claimed.run_id)),  # each log line of this run says so
        holder.holding(partial(store.renew, claimed.run_id, claimed.fence)) as held,
    ):
        try:
            _advance(claimed, held, relay)
        except (LeaseLost, LeaseTaken):
            log.warning("Run %s was taken over by another worker; its state is theirs now.", claimed.run_id)
    crash_points.reach("worker.after_release")


def _advance(claimed: Claimed, held: Held, relay: Relay | None) -> None:
    definition = registry.find(claimed.workflow, claimed.version)
    problem = _what_is_missing(claimed, definition)
    if definition is None or problem:
        _wait_for_configuration(claimed, problem)
        return
    session = Session(claimed, definition, held, relay)
    if claimed.status is RunStatus.ROLLING_BACK:
        Rollback(session).run()
    else:
        Forward(session).run()


def _what_is_missing(claimed: Claimed, definition: registry.Definition | None) -> str:
    if definition is None:
        return f"{claimed.workflow} version {claimed.version} is not in this worker's code"
    for setting in definition.requires:
        try:
            setting.value()
        except ConfigurationError as exc:
            return exc.message
    return ""


def _wait_for_configuration(claimed: Claimed, problem: str) -> None:
    """Hold the run before it does anything, and say what is missing."""
    reason = WaitingReason.CONFIGURATION
    status = claimed.status if claimed.status is RunStatus.ROLLING_BACK else RunStatus.WAITING
    shown = reason if status is RunStatus.WAITING else WaitingReason.NONE
    writes = Writes(events=[EventWrite("run.waiting", "", {"reason": reason, "on": problem})])
    how = Release(status, shown, problem, wake_in=RECHECK_SECONDS, current_step=claimed.current_step)
    store.release(claimed.run_id, claimed.fence, identity(), writes, how)
