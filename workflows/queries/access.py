"""The guarded way to a run."""

from __future__ import annotations

from uuid import UUID

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.models import Run


def access_run(actor: Actor, run_id: UUID, *, permission: Permission = Permission.VIEW_RUN) -> Run:
    """Return the run with its workflow and team, if ``actor`` holds ``permission`` on it.

    :raises NotFound: if there is no such run, or none that the actor may see.
    :raises Forbidden: if the actor may see it but not do that.
    """
    run = Run.objects.select_related("workflow__team", "workflow__paused_by").filter(pk=run_id).first()
    if run is None:
        raise NotFound("There is no such run, or none that you may see.")
    authorise(actor, permission, run)
    return run
