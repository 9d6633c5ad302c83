"""A build that is broken on purpose, so that the torture test can show that it bites."""

from __future__ import annotations
