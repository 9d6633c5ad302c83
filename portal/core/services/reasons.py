"""A reason is for the person who reads the audit trail in a year."""

from __future__ import annotations

from portal.core.errors import InvalidInput

MINIMUM_LENGTH = 10


def checked_reason(reason: str) -> str:
    """Return the reason without blanks around it.

    :raises InvalidInput: if it has fewer than 10 characters.
    """
    reason = reason.strip()
    if len(reason) < MINIMUM_LENGTH:
        message = f"Say why, in at least {MINIMUM_LENGTH} characters."
        raise InvalidInput(message, fields={"reason": [message]})
    return reason
