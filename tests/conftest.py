"""Fixtures of all tests. The servers come from tests/servers.py."""

from __future__ import annotations

from tests.personas import personas, roles

__all__ = ["personas", "roles"]
