"""Secrets do not belong in logs or in the audit trail."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "[hidden]"
_SECRET = re.compile(
    r"(?i)(^|[_-])(password|passwd|secret|token|api[_-]?key|authorization|cookie|sessionid|credentials?)s?$"
)


def redact(value: object) -> object:
    """Return ``value`` with what stands under a secret-sounding key hidden, at any depth."""
    if isinstance(value, Mapping):
        return {k: HIDDEN if isinstance(k, str) and _SECRET.search(k) else redact(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return value
