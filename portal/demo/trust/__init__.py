"""Money that the firm holds for its clients: the bank's statement against the firm's own ledger."""

from __future__ import annotations
