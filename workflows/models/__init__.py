"""The engine's tables: what runs, what has been done, and what each run waits for."""

from __future__ import annotations

from workflows.models.approvals import ApprovalRequest
from workflows.models.bulk import BulkItem, BulkOperation
from workflows.models.definitions import Workflow, WorkflowVersion
from workflows.models.dependencies import BreakerEvent, BreakerProbe, CallRate, CallSlot, CallWindow, Dependency
from workflows.models.events import DeadLetter, EventWait, InboxMessage, OutboxMessage
from workflows.models.fleet import Heartbeat
from workflows.models.items import ItemSlot, StepItem
from workflows.models.locks import LockTicket, ResourceLock
from workflows.models.runs import Attempt, KeptOutput, Run, RunEvent, StepRun
from workflows.models.saved_views import SavedView
from workflows.models.schedules import Schedule, ScheduledTime

__all__ = [
    "ApprovalRequest",
    "Attempt",
    "BreakerEvent",
    "BreakerProbe",
    "BulkItem",
    "BulkOperation",
    "CallRate",
    "CallSlot",
    "CallWindow",
    "DeadLetter",
    "Dependency",
    "EventWait",
    "Heartbeat",
    "InboxMessage",
    "ItemSlot",
    "KeptOutput",
    "LockTicket",
    "OutboxMessage",
    "ResourceLock",
    "Run",
    "RunEvent",
    "SavedView",
    "Schedule",
    "ScheduledTime",
    "StepItem",
    "StepRun",
    "Workflow",
    "WorkflowVersion",
]
