"""The audit trail as a file, a row at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from portal.core.models import AuditEntry

FIELDS = (
    "sequence",
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_label",
    "action",
    "object_type",
    "object_id",
    "object_label",
    "result",
    "reason",
    "before",
    "after",
    "correlation_id",
    "origin",
    "previous_digest",
    "digest",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """What csv.writer writes to: it hands each line back."""

    def write(self, line: str) -> str:
        return line


def as_jsonl(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """Yield one JSON object a line, oldest first, with the digests that seal the entries."""
    for entry in _oldest_first(entries):
        yield json.dumps(_values(entry), cls=DjangoJSONEncoder, ensure_ascii=False) + "\n"


def as_csv(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """Yield CSV, oldest first. Text that a spreadsheet would take for a formula gets a leading apostrophe."""
    writer = csv.writer(_Line())
    yield writer.writerow(FIELDS)
    for entry in _oldest_first(entries):
        yield writer.writerow([_cell(value) for value in _values(entry).values()])


def _oldest_first(entries: QuerySet[AuditEntry]) -> Iterator[AuditEntry]:
    return entries.order_by("sequence").iterator(chunk_size=1000)


def _values(entry: AuditEntry) -> dict[str, object]:
    values = {name: getattr(entry, name) for name in FIELDS}
    return values | {name: bytes(values[name]).hex() for name in ("previous_digest", "digest")}


def _cell(value: object) -> object:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
