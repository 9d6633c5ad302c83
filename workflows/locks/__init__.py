"""What people see and do of the locks that steps take. The engine's part is in ``workflows.engine.locks``."""

from __future__ import annotations
