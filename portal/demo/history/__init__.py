"""Thirty days of plausible history, as the engine itself would have written it. Builds rows, saves none."""

from __future__ import annotations
