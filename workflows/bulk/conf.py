"""How many things one person may repair at once: the one table, shown in docs/operating.md."""

from __future__ import annotations

from dataclasses import dataclass

from portal.core.permissions import Role


@dataclass(frozen=True, slots=True)
class Limit:
    """``alone``: the largest operation that somebody may start without asking. ``approve``: that of another."""

    alone: int = 0
    approve: int = 0


MOST = 50_000  # in one operation, whoever starts and approves it
LIMITS: dict[Role, Limit] = {
    Role.VIEWER: Limit(),
    Role.SUPPORT: Limit(),
    Role.OPERATOR: Limit(alone=100),
    Role.MANAGER: Limit(approve=1_000),
    Role.ADMIN: Limit(alone=MOST, approve=MOST),
}
BY_GRANT = Limit(alone=100)
"""For those who hold the right on single teams or workflows only, and have no role."""

RATES = (10, 60, 300, 1200)
"""What a person may choose, per minute."""
