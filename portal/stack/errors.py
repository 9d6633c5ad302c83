"""What can keep the stack from starting, in words that say how to mend it."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot run; the message says why and what to do about it."""
