"""Comparing two sources of truth on a schedule, and telling on which records they differ."""

from __future__ import annotations
