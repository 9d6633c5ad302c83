"""Secrets do not belong in logs or in the audit trail."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "[hidden]"
_SECRET_NAME = re.compile(
    r"(?i)(^|[_-])(password|passwd|secret|token|api[_-]?key|authorization|cookie|sessionid|credentials?)s?$"
)
_IN_TEXT = re.compile(r"(?i)(?P<before>://[^:/@\s]*:|\bbearer\s+)[^@\s/\"']+")


def redact(value: object) -> object:
    """Return ``value`` with what stands under a secret-sounding name hidden, at any depth."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if _SECRET_NAME.search(str(key)) else redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    return scrub(value) if isinstance(value, str) else value


def scrub(text: str) -> str:
    """Return ``text`` with the passwords of addresses and bearer tokens hidden."""
    return _IN_TEXT.sub(rf"\g<before>{HIDDEN}", text) if "://" in text or "earer" in text.lower() else text
