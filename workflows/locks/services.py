"""A person's hand on a lock."""

from __future__ import annotations

from django.db import transaction

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.errors import NotFound, StaleVersion
from portal.core.permissions import Permission
from portal.core.services.reasons import checked_reason
from workflows import dispatch
from workflows.engine import store
from workflows.models import ResourceLock, Run


def break_lock(*, actor: Actor, key: str, reason: str, expected_token: int | None = None) -> ResourceLock:
    """Take the lock from the run that holds it and give it to the next in the queue; free it if nobody waits.

    The former holder is not interrupted; a DATABASE step of it can no longer commit, and waits its turn again.

    :param expected_token: the fencing token that the person saw.
    :raises NotFound: if nobody holds it.
    :raises StaleVersion: if it was taken anew since.
    """
    with transaction.atomic():
        lock = ResourceLock.objects.select_for_update().filter(pk=key, run__isnull=False).first()
        if lock is None or lock.run_id is None:
            raise NotFound(f"Nobody holds the lock {key} now.")
        holder = Run.objects.select_related("workflow__team").get(pk=lock.run_id)
        authorise(actor, Permission.BREAK_LOCK, holder)
        reason = checked_reason(reason)
        if expected_token is not None and expected_token != lock.token:
            raise StaleVersion(f"The lock {key} was taken anew since you looked. Look at who holds it now.")
        queued = store.hand_on(key)
        for run_id, queue in queued:
            dispatch.enqueue_run(run_id, queue)
        record(
            actor=actor,
            action="workflows.lock.break",
            object_type="lock",
            object_id=key,
            object_label=key,
            reason=reason,
            before={"run": str(holder.pk), "step": lock.step, "token": lock.token},
            after={"run": str(queued[0][0]) if queued else None},
        )
    lock.refresh_from_db()
    return lock
