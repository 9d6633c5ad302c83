"""UUIDv7 (RFC 9562 section 5.7): ids that sort by the time they were made."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime


def uuid7() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of Unix time in milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76  # version 7
    value = value & ~(0x3 << 62) | 0x2 << 62  # RFC 4122 variant
    return uuid.UUID(int=value)


def first_uuid7(moment: datetime) -> uuid.UUID:
    """Return the smallest UUIDv7 of a moment: whatever was made since has a larger one."""
    value = int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | 0x2 << 62
    return uuid.UUID(int=value)
