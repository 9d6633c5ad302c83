"""What runs ask people: the open question of a run, and who may answer it."""

from __future__ import annotations

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.models import ApiToken, AuditEntry
from portal.core.permissions import Permission
from workflows.engine.state import RunStatus, WaitingReason
from workflows.models import ApprovalRequest, Run


def open_request(run: Run) -> ApprovalRequest | None:
    """Return what the run asks now, None if it asks nothing."""
    if run.status != RunStatus.WAITING or run.waiting_reason != WaitingReason.APPROVAL:
        return None
    return ApprovalRequest.objects.filter(run=run, step=run.current_step, status=ApprovalRequest.Status.OPEN).first()


def why_not_answered_by(actor: Actor, run: Run, request: ApprovalRequest) -> str:
    """Return why ``actor`` may not answer, "" if they may."""
    if actor.user is None:
        return "Only a person may answer"
    for permission in (Permission.APPROVE_STEP, Permission(request.permission)):
        if not may(actor, permission, run):
            return f"It needs the right to {permission.replace('_', ' ')}"
    if request.roles and not actor.user.groups.filter(name__in=request.roles).exists():
        return f"It needs the role {' or '.join(request.roles)}"
    if request.four_eyes and starter_id(run) == actor.user.pk:
        return "Whoever started the run may not answer (four eyes)"
    return ""


def starter_id(run: Run) -> int | None:
    """Return the primary key of the person who started the run, or the one that it belongs to; None for no person.

    Whoever starts one with an API token counts as the token's owner.
    """
    while run.parent is not None:
        run = run.parent
    entry = AuditEntry.objects.filter(
        object_type="run", object_id=str(run.pk), action="workflows.run.start", result=AuditEntry.Result.DONE
    ).first()
    if entry is None or entry.actor_kind == "system":
        return None
    if entry.actor_kind == "token":
        return ApiToken.objects.filter(pk=entry.actor_id).values_list("owner_id", flat=True).first()
    return int(entry.actor_id)
