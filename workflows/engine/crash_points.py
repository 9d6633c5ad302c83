"""Named places where a worker or dispatcher can be made to die, to prove that dying there is safe.

Armed by a file of the point's name in the folder ``CRASH_POINTS_DIR`` ("worker.after_body", or
"worker.after_body@charge" for one step only); whoever removes the file first kills itself with SIGKILL, so each
arming means exactly one death. Without that variable this does nothing.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

POINTS = frozenset(
    {
        "worker.before_claim",
        "worker.after_claim",
        "worker.before_body",
        "worker.after_body",
        "worker.inside_transaction",
        "worker.before_checkpoint",
        "worker.after_checkpoint",
        "worker.after_intent",
        "worker.before_release",
        "worker.after_release",
        "worker.before_compensation",
        "worker.after_compensation",
        "starter.after_commit",
        "dispatcher.before_send",
        "dispatcher.after_send",
        "dispatcher.after_reclaim",
        "dispatcher.before_schedule",
        "dispatcher.after_schedule",
        "router.inside_transaction",
        "router.after_commit",
        "consumer.after_take",
        "consumer.inside_transaction",
        "consumer.after_commit",
        "bulk.before_commit",
        "bulk.after_commit",
    }
)
_folder = os.environ.get("CRASH_POINTS_DIR", "")


def reach(point: str, step: str = "") -> None:
    """Die here if this point is armed, for any step or for this one."""
    if _folder and (_disarm(point) or _disarm(f"{point}@{step}")):
        os.kill(os.getpid(), signal.SIGKILL)


def _disarm(name: str) -> bool:
    try:
        (Path(_folder) / name).unlink()
    except FileNotFoundError:
        return False
    return True
