"""Reads for pages and API: frozen values or prefetched rows, at a fixed number of queries."""

from __future__ import annotations

from workflows.queries.access import access_run

__all__ = ["access_run"]
