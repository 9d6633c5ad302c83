"""Loaded by Python itself at the start of each process of one "host": a clock and a host name of its own.

The shift reaches ``time.time``, ``datetime.now`` and all that C code of the standard library makes of them;
``time.monotonic`` stays true, as it does on a real machine whose clock is wrong.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta

if name := os.environ.get("TORTURE_HOST"):
    socket.gethostname = lambda: name
if seconds := float(os.environ.get("TORTURE_CLOCK", "0")):
    import time_machine

    time_machine.travel(timedelta(seconds=seconds), tick=True).start()
