"""The engine's SQL: the only package of the engine that talks to PostgreSQL.

Each call is one statement, so one round trip and, outside a transaction, one commit. Statements run on
Django's connection (a step's own ORM writes and its checkpoint commit together) but as prepared,
server-side-bound statements. Times are the database's: workers' clocks need not agree.
"""

from __future__ import annotations

from workflows.engine.store import fan_out, items
from workflows.engine.store.children import wake_parent
from workflows.engine.store.claiming import LEASE_SECONDS, claim, claim_first, claim_next
from workflows.engine.store.dispatching import (
    CHANNEL,
    MAX_LOSSES,
    lease_owners,
    queues_left_alone,
    reclaim,
    seconds_to_next_wake,
    wake_due,
)
from workflows.engine.store.fleet import beat, forget_silent
from workflows.engine.store.holding import RENEW_SECONDS, checkpoint, release, release_and_take, renew
from workflows.engine.store.locks import (
    Queued,
    give_back,
    hand_on,
    hand_on_orphan,
    holds_lock,
    orphaned_locks,
    queue_up,
    take_lock,
    tidy_locks,
)
from workflows.engine.store.outputs import Kept, keep_output, kept_output
from workflows.engine.store.starting import insert_run, workflow_state
from workflows.engine.store.writes import AttemptWrite, Claimed, EventWrite, Release, StepWrite, Writes

__all__ = [
    "CHANNEL",
    "LEASE_SECONDS",
    "MAX_LOSSES",
    "RENEW_SECONDS",
    "AttemptWrite",
    "Claimed",
    "EventWrite",
    "Kept",
    "Queued",
    "Release",
    "StepWrite",
    "Writes",
    "beat",
    "checkpoint",
    "claim",
    "claim_first",
    "claim_next",
    "fan_out",
    "forget_silent",
    "give_back",
    "hand_on",
    "hand_on_orphan",
    "holds_lock",
    "insert_run",
    "items",
    "keep_output",
    "kept_output",
    "lease_owners",
    "orphaned_locks",
    "queue_up",
    "queues_left_alone",
    "reclaim",
    "release",
    "release_and_take",
    "renew",
    "seconds_to_next_wake",
    "take_lock",
    "tidy_locks",
    "wake_due",
    "wake_parent",
    "workflow_state",
]
