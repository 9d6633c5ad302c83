"""``python -m tests.faults.repair``: start a bulk operation that resumes every failed run, as an administrator."""

from __future__ import annotations

import django

django.setup()

from portal.core.actor import person  # noqa: E402 - after the set-up
from portal.core.models import User  # noqa: E402
from workflows.bulk.preview import Selection, dry_run  # noqa: E402
from workflows.bulk.services import Expected, start_operation  # noqa: E402


def main() -> None:
    """Start it at the fastest rate that there is."""
    user = User.objects.filter(username="root").first() or User.objects.create_superuser("root")
    actor, selection = person(user), Selection("run", "resume", "state=failed")
    found = dry_run(actor, selection)
    expected = Expected(found.count, found.digest)
    start_operation(
        actor=actor, selection=selection, expected=expected, reason="The gateway is well again", per_minute=1200
    )


if __name__ == "__main__":
    main()
