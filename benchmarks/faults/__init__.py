"""The parts of the torture test: an installation, a storm of faults, load and people, a recorder, and the checks."""

from __future__ import annotations
