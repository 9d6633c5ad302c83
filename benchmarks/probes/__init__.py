"""Small flows that the torture test runs beside the demo's: a fan-out, an event with a consumer, a shared counter."""

from __future__ import annotations
