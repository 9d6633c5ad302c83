"""Records that two may change at once, where a lock would be too much: the second one sees that it came too late."""

from __future__ import annotations

from typing import Any

from django.db.models import Model

from workflows.errors import StaleRecord


def update_versioned(record: Model, *, version_field: str = "version", **changes: Any) -> None:
    """Write ``changes`` if nobody has changed the record since it was read, and give it the next version.

    In a ``DATABASE`` step everything that the step wrote is then taken back and the step is tried again, which
    reads the record anew. ``record`` has the new values afterwards.

    :param version_field: the integer field that counts the changes. Everybody who changes the record must use it.
    :raises StaleRecord: if somebody has changed or removed the record meanwhile; nothing was written.
    """
    seen = getattr(record, version_field)
    changes |= {version_field: seen + 1}
    unchanged = type(record)._default_manager.filter(pk=record.pk, **{version_field: seen})
    if not unchanged.update(**changes):
        raise StaleRecord(f"{record._meta.verbose_name} {record.pk} has changed since version {seen} was read")
    for name, value in changes.items():
        setattr(record, name, value)
