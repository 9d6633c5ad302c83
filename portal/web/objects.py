"""Where the object of an audit entry has its page."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse

from portal.core.models import AuditEntry

# Object type -> name of the page, and which of the entry's fields it is addressed by.
PAGES = {
    "run": ("run-detail", "object_id"),
    "workflow": ("workflow-detail", "object_label"),
    "user": ("access-person", "object_label"),
    "dependency": ("dependency-detail", "object_label"),
    "dead_letter": ("dead-letter", "object_id"),
}


def object_url(entry: AuditEntry) -> str:
    """Return the address of the object's page, or "" if it has none."""
    if entry.object_type not in PAGES:
        return ""
    page, field = PAGES[entry.object_type]
    try:
        return reverse(page, args=[getattr(entry, field)])
    except NoReverseMatch:
        return ""
