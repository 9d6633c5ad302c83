"""Services that steps call, each behind a circuit breaker that all workers share.

``breaker`` decides (pure), ``store`` keeps (SQL), ``guard`` stands before each call, ``services`` are a person's
commands.
"""

from __future__ import annotations
