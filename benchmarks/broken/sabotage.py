"""Taking one safeguard out of the loaded engine.

Refuses to do so if what is to be taken out is not there any more, so that a proof does not quietly stop to be one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

from portal.core.clock import now
from workflows.dispatcher import Dispatcher
from workflows.engine import store
from workflows.engine.forward import Forward
from workflows.engine.plan import AnyStep
from workflows.engine.session import Session
from workflows.engine.state import StepStatus
from workflows.engine.store import claiming, dispatching, holding, locks
from workflows.events import inbox
from workflows.models import InboxMessage
from workflows.services.start import start_run


def without_fence() -> None:
    """Let a checkpoint be written, and a lease be kept, whoever holds the run."""
    for name, text in vars(holding).copy().items():
        if isinstance(text, str) and text.startswith("WITH"):
            _take_out(holding, name, " AND fence = %(fence)s::bigint", "")
    store.renew = lambda run_id, fence: True


def without_claim() -> None:
    """Let a run be claimed that somebody holds."""
    for name in ("_CLAIM_FIRST", "_CLAIM_NEXT"):  # not always, or nobody would get anywhere
        _take_out(claiming, name, "status IN ('queued', 'rolling_back') AND lease_owner = ''",
                  "(status IN ('queued', 'rolling_back') AND lease_owner = ''"
                  " OR status = 'running' AND random() < 0.05)")  # fmt: skip


def without_intent() -> None:
    """Call what must not be repeated without saying so before."""
    note = Session.note_step

    def note_no_intent(self: Session, step: AnyStep, status: StepStatus, **how: Any) -> None:
        if status is not StepStatus.RUNNING or self.checkpoint_of(step).helper_attempts:
            note(self, step, status, **how)

    Session.note_step = note_no_intent  # type: ignore[method-assign]


def without_verify() -> None:
    """Take what may have happened for something that did not."""

    def find_out(self: Forward, step: AnyStep) -> None:
        self.session.claimed.lost_count = 0
        self._did_not_happen(step)

    Forward._find_out = find_out  # type: ignore[method-assign]


def without_ringing() -> None:
    """Never call a worker again where the broker lost the message."""
    Dispatcher._ring_again = lambda self: None  # type: ignore[method-assign]


def without_reclaim() -> None:
    """Never take back what a dead worker held."""
    _take_out(dispatching, "_RECLAIM", "WHERE status IN ('running', 'rolling_back') AND", "WHERE false AND")


def without_transaction() -> None:
    """Commit a DATABASE step's writes and its checkpoint one after the other."""
    Forward._do_in_transaction = Forward._do  # type: ignore[method-assign]


def without_inbox() -> None:
    """Let a consumer forget now and then what it has acted on, as one does that dies before it says so."""
    mark = inbox.mark_handled

    def mark_or_forget(row: InboxMessage, run: UUID | None) -> None:
        if random.random() < 0.9:  # noqa: S311 - not for secrets
            mark(row, run)
            return
        row.next_attempt_at, row.taken_by = now(), ""
        row.save(update_fields=["next_attempt_at", "taken_by"])

    inbox.mark_handled = mark_or_forget  # type: ignore[attr-defined]
    inbox.start_run = lambda **how: start_run(**how | {"idempotency_key": None})  # type: ignore[attr-defined]


def without_lock() -> None:
    """Give a lock to whoever asks."""
    _take_out(locks, "_TAKE", "WHERE l.run_id IS NULL OR l.run_id = excluded.run_id", "")
    locks._IS_HELD = "SELECT 1 WHERE %(key)s::text <> '' AND %(run)s::uuid IS NOT NULL AND %(token)s::bigint > 0"


BROKEN: dict[str, Callable[[], None]] = {
    "fence": without_fence,
    "claim": without_claim,
    "intent": without_intent,
    "verify": without_verify,
    "ringing": without_ringing,
    "reclaim": without_reclaim,
    "transaction": without_transaction,
    "inbox": without_inbox,
    "lock": without_lock,
}


def _take_out(module: object, name: str, part: str, instead: str) -> None:
    whole = getattr(module, name)
    if part not in whole:
        raise RuntimeError(f"{name} does not hold what was to be taken out: {part}")
    setattr(module, name, whole.replace(part, instead))
