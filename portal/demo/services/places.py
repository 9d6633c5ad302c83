"""Where the sandbox is."""

from __future__ import annotations

from workflows import ConfigurationError, Setting

_SANDBOX = Setting("SANDBOX_URL", kind="url")


def sandbox_url() -> str:
    """Return the sandbox's address, or "" where none is set."""
    try:
        return _SANDBOX.value()
    except ConfigurationError:
        return ""
