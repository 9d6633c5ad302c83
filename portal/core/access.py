"""Who may do what: global rights through roles, object rights on teams and workflows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccessScope:
    """The objects whose grants count for something: its workflow and that workflow's team (primary keys)."""

    workflow_id: int | None = None
    team_id: int | None = None
