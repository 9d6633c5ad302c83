"""The pages and the API of events: what was never consumed, and the contracts."""

from __future__ import annotations
