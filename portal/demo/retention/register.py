"""The retention register's only writers. The numbers of one client's entries need a lock: see the flow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet
from pydantic import BaseModel

from portal.core.clock import now
from portal.demo.retention.models import RetentionEntry


class ArchivedCopy(BaseModel):
    """A document in the archive."""

    archive_id: str
    reference: str
    client: str
    matter: str
    title: str
    keep_until: date


@transaction.atomic
def register_copies(*, client: str, copies: Sequence[ArchivedCopy], run_id: UUID) -> int:
    """Register those of the copies that are not registered yet; return how many those were.

    The caller has the client's register to itself: the next number is read here and written here.
    """
    known = set(_standing(copies).values_list("reference", flat=True))
    new = [copy for copy in copies if copy.reference not in known]
    last = RetentionEntry.objects.filter(client=client).aggregate(last=Max("number"))["last"] or 0
    moment = now()
    RetentionEntry.objects.bulk_create(
        RetentionEntry(number=number, run_id=run_id, registered_at=moment, **copy.model_dump())
        for number, copy in enumerate(new, last + 1)
    )
    return len(new)


def registered(copies: Sequence[ArchivedCopy]) -> int:
    """Return how many of the copies are in the register."""
    return _standing(copies).count()


def withdraw(run_id: UUID) -> int:
    """Withdraw what this run has registered; return how many entries those were. Their numbers stay taken."""
    return RetentionEntry.objects.filter(run_id=run_id, withdrawn_at=None).update(withdrawn_at=now())


def _standing(copies: Sequence[ArchivedCopy]) -> QuerySet[RetentionEntry]:
    return RetentionEntry.objects.filter(reference__in=[copy.reference for copy in copies], withdrawn_at=None)
