"""Whether the work is right. For authors: ``from diagnostics import CannotSee, Mismatch, reconciliation``."""

from __future__ import annotations

from diagnostics.reconciliation.definition import CannotSee, Mismatch, reconciliation

__all__ = ["CannotSee", "Mismatch", "reconciliation"]
