"""Every write to workflows and runs, shared by pages, API and commands."""

from __future__ import annotations

from workflows.services.approvals import approve_step, note_overdue_approvals, reject_step
from workflows.services.available import AvailableCommand, available_command, available_commands
from workflows.services.holding import pause_workflow, resume_workflow
from workflows.services.registration import register_workflows
from workflows.services.repair import (
    cancel_run,
    decide_step,
    pause_run,
    resume_run,
    retry_from_step,
    skip_step,
    why_not_retried,
)
from workflows.services.rollback import (
    PreviewLine,
    RollbackPreview,
    preview_rollback,
    roll_back_run,
    rollback_preview_of,
)
from workflows.services.start import StartedRun, start_run

__all__ = [
    "AvailableCommand",
    "PreviewLine",
    "RollbackPreview",
    "StartedRun",
    "approve_step",
    "available_command",
    "available_commands",
    "cancel_run",
    "decide_step",
    "note_overdue_approvals",
    "pause_run",
    "pause_workflow",
    "preview_rollback",
    "register_workflows",
    "reject_step",
    "resume_run",
    "resume_workflow",
    "retry_from_step",
    "roll_back_run",
    "rollback_preview_of",
    "skip_step",
    "start_run",
    "why_not_retried",
]
