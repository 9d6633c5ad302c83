"""Limits of what is done with dead letters; shown in docs/operating.md."""

from __future__ import annotations

from datetime import timedelta

REPLAY_LIMIT = 5
"""How often one letter may be replayed. More of the same will not help: edit or discard it."""

KEPT_FOR = timedelta(days=30)
"""How long a discarded letter can be brought back. Then a chore removes it."""
