"""Fixtures of all tests. The servers come from tests/servers.py."""

from __future__ import annotations

from tests.log_lines import lines
from tests.personas import personas, roles

__all__ = ["lines", "personas", "roles"]
