"""The whole product on one machine: PostgreSQL and Valkey from wheels, one supervisor for every process.

Nothing here imports Django's settings: this code runs before there is an environment to read.
"""

from __future__ import annotations
