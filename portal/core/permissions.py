"""Every right there is, and which role has it: the one table to read when asked "who may do that?"."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Permission(StrEnum):
    """A right. Held everywhere through a role, or on one team or workflow through an object grant."""

    VIEW_WORKFLOW = "view_workflow"
    VIEW_RUN = "view_run"
    VIEW_PAYLOAD = "view_payload"  # values marked as sensitive, and stack traces
    START_RUN = "start_run"
    RESUME_RUN = "resume_run"
    RETRY_STEP = "retry_step"
    SKIP_STEP = "skip_step"
    DECIDE_STEP = "decide_step"
    APPROVE_STEP = "approve_step"  # answer a question at which a run waits
    PAUSE_RUN = "pause_run"
    CANCEL_RUN = "cancel_run"
    ROLL_BACK_RUN = "roll_back_run"
    EMIT_EVENT = "emit_event"
    REPLAY_DEAD_LETTER = "replay_dead_letter"  # also: send an event again that somebody missed
    EDIT_DEAD_LETTER = "edit_dead_letter"
    DISCARD_DEAD_LETTER = "discard_dead_letter"
    OPERATE_DEPENDENCY = "operate_dependency"
    BREAK_LOCK = "break_lock"
    PAUSE_WORKFLOW = "pause_workflow"
    START_BULK_OPERATION = "start_bulk_operation"  # how large: workflows/bulk/conf.py
    APPROVE_BULK_OPERATION = "approve_bulk_operation"
    VIEW_AUDIT = "view_audit"
    EXPORT_AUDIT = "export_audit"
    VIEW_ACCESS = "view_access"
    MANAGE_ACCESS = "manage_access"
    MANAGE_OWN_TOKENS = "manage_own_tokens"
    OPERATE_SANDBOX = "operate_sandbox"


class Role(StrEnum):
    """A named set of rights; kept as a Django group of the same name."""

    VIEWER = "viewer"
    SUPPORT = "support"
    OPERATOR = "operator"
    MANAGER = "manager"
    ADMIN = "admin"


_VIEWER = frozenset({Permission.VIEW_WORKFLOW, Permission.VIEW_RUN})
_SUPPORT = _VIEWER | {
    Permission.START_RUN,
    Permission.RESUME_RUN,
    Permission.ROLL_BACK_RUN,
    Permission.REPLAY_DEAD_LETTER,
    Permission.MANAGE_OWN_TOKENS,
    Permission.OPERATE_SANDBOX,
}
_OPERATOR = _SUPPORT | {
    Permission.VIEW_PAYLOAD,
    Permission.RETRY_STEP,
    Permission.SKIP_STEP,
    Permission.DECIDE_STEP,
    Permission.APPROVE_STEP,
    Permission.PAUSE_RUN,
    Permission.CANCEL_RUN,
    Permission.EMIT_EVENT,
    Permission.EDIT_DEAD_LETTER,
    Permission.DISCARD_DEAD_LETTER,
    Permission.OPERATE_DEPENDENCY,
    Permission.BREAK_LOCK,
    Permission.PAUSE_WORKFLOW,
    Permission.START_BULK_OPERATION,
    Permission.VIEW_AUDIT,
}
_MANAGER = _VIEWER | {
    Permission.APPROVE_STEP,
    Permission.APPROVE_BULK_OPERATION,
    Permission.VIEW_AUDIT,
    Permission.EXPORT_AUDIT,
    Permission.VIEW_ACCESS,
}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.SUPPORT: _SUPPORT,
    Role.OPERATOR: _OPERATOR,
    Role.MANAGER: _MANAGER,
    Role.ADMIN: frozenset(Permission),
}

# Rights that make sense on one team or workflow; the others are held everywhere or not at all.
OBJECT_PERMISSIONS: frozenset[Permission] = frozenset(
    {
        Permission.VIEW_WORKFLOW,
        Permission.VIEW_RUN,
        Permission.VIEW_PAYLOAD,
        Permission.START_RUN,
        Permission.RESUME_RUN,
        Permission.RETRY_STEP,
        Permission.SKIP_STEP,
        Permission.DECIDE_STEP,
        Permission.APPROVE_STEP,
        Permission.PAUSE_RUN,
        Permission.CANCEL_RUN,
        Permission.ROLL_BACK_RUN,
        Permission.REPLAY_DEAD_LETTER,
        Permission.EDIT_DEAD_LETTER,
        Permission.DISCARD_DEAD_LETTER,
        Permission.BREAK_LOCK,
        Permission.PAUSE_WORKFLOW,
        Permission.START_BULK_OPERATION,
    }
)


def permission_choices() -> list[tuple[str, Any]]:
    """Return (codename, words) pairs for a model's ``Meta.permissions``."""
    return [(p.value, "May " + p.value.replace("_", " ")) for p in Permission]
