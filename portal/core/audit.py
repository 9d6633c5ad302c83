"""The audit trail: append-only entries, each sealed over the one before (docs/adr/002-audit-chain.md).

An entry's digest is HMAC-SHA256(key, previous digest + canonical form). The key is derived from
``SECRET_KEY``, which the database does not hold, so whoever can only write to the database cannot mend the
chain after a change. Cutting entries off the end leaves a valid, shorter chain; that is why each head is also
logged, and ``verify_audit --expect`` compares.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import structlog
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils.crypto import salted_hmac

from portal.core import clock
from portal.core.actor import Actor
from portal.core.correlation import current_correlation_id
from portal.core.models import AuditEntry, AuditHead
from portal.core.redact import redact

CHAIN = "main"
Result = AuditEntry.Result
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a check of the chain found. ``broken_at`` is the sequence of the first entry that does not fit."""

    ok: bool
    entries: int
    head_at: datetime | None
    broken_at: int | None = None
    problem: str = ""


def record(
    *,
    actor: Actor,
    action: str,
    obj: models.Model | None = None,
    object_type: str = "",
    object_id: str = "",
    object_label: str = "",
    reason: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
    result: str = Result.DONE,
) -> AuditEntry:
    """Append an entry in the caller's transaction and return it.

    ``action`` is "app.noun.verb". Call it last: it locks the chain's head until the transaction ends, so that
    everybody else who acts waits for it. For acts of people and automations, not for each step of a run.
    """
    if obj is not None:
        object_type = object_type or str(obj._meta.model_name)
        object_id = object_id or str(obj.pk)
        object_label = object_label or str(obj)
    with transaction.atomic(savepoint=False):
        head, _ = AuditHead.objects.select_for_update().get_or_create(chain=CHAIN)
        entry = AuditEntry(
            chain=CHAIN,
            sequence=head.sequence + 1,
            at=clock.now(),
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=actor.label[:200],
            action=action,
            object_type=object_type,
            object_id=object_id[:80],
            object_label=object_label[:200],
            result=result,
            reason=reason,
            before=_plain(before),
            after=_plain(after),
            correlation_id=current_correlation_id(),
            origin=actor.origin[:60],
            previous_digest=bytes(head.digest),
        )
        entry.digest = seal(entry, _keys()[0])
        entry.save(force_insert=True)
        AuditHead.objects.filter(chain=CHAIN).update(sequence=entry.sequence, digest=entry.digest)
    transaction.on_commit(partial(_publish_head, entry))
    return entry


def seal(entry: AuditEntry, key: bytes) -> bytes:
    """Return the digest that ``entry`` must carry, given its ``previous_digest``."""
    return hmac.digest(key, bytes(entry.previous_digest) + _canonical(entry), hashlib.sha256)


def is_sealed(entry: AuditEntry) -> bool:
    """Whether ``entry`` itself is as it was written; its place in the chain is not looked at."""
    return _fits(entry, _keys())


def verify_chain(
    *, after: AuditEntry | None = None, limit: int | None = None, head: AuditHead | None = None
) -> ChainReport:
    """Check the chain's links and its head, from the first entry or from the one behind ``after``.

    Looks at ``limit`` entries at most; ``head`` is the chain's, if it has been read already.
    """
    sequence, digest, at = (after.sequence, bytes(after.digest), after.at) if after else (0, bytes(32), None)
    keys = _keys()
    entries = AuditEntry.objects.filter(chain=CHAIN, sequence__gt=sequence).order_by("sequence")
    # The head is read first: entries added while we read lie behind it and are left for the next check.
    head = head or AuditHead.objects.filter(chain=CHAIN).first()
    end = head.sequence if head else 0
    checked = 0
    for entry in _some(entries.filter(sequence__lte=end), limit):
        problem = _misfit(entry, sequence + 1, digest, keys)
        if problem:
            return ChainReport(False, checked, at, sequence + 1, problem)
        sequence, digest, at, checked = entry.sequence, bytes(entry.digest), entry.at, checked + 1
    if limit is not None and checked == limit:
        return ChainReport(True, checked, at)
    if sequence != end:
        return ChainReport(False, checked, at, sequence + 1, f"entry {sequence + 1} is missing")
    if head and bytes(head.digest) != digest:
        return ChainReport(False, checked, at, sequence, f"the head does not carry the digest of entry {sequence}")
    return ChainReport(True, checked, at)


def check_and_note(*, expected: tuple[int, str] | None = None) -> ChainReport:
    """Verify the whole chain and keep the outcome on its head, for the badge on the audit page.

    ``expected`` is a head that was published earlier, as (sequence, digest in hex); it must still be there.
    """
    report = verify_chain()
    if report.ok and expected and not _holds(*expected):
        problem = f"entry {expected[0]} is not the one that was published"
        report = ChainReport(False, report.entries, report.head_at, expected[0], problem)
    if not report.ok:
        log.error("audit_chain_broken", broken_at=report.broken_at, problem=report.problem)
    AuditHead.objects.filter(chain=CHAIN).update(
        verified_sequence=report.entries, verified_at=clock.now(), broken_at=report.broken_at
    )
    return report


def _holds(sequence: int, digest: str) -> bool:
    entry = AuditEntry.objects.filter(chain=CHAIN, sequence=sequence).first()
    return entry is not None and bytes(entry.digest).hex() == digest


def _misfit(entry: AuditEntry, sequence: int, previous: bytes, keys: list[bytes]) -> str:
    if entry.sequence != sequence:
        return f"entry {sequence} is missing"
    if bytes(entry.previous_digest) != previous:
        return f"entry {sequence} does not follow the one before it"
    if not _fits(entry, keys):
        return f"entry {sequence} was changed after it was written"
    return ""


def _fits(entry: AuditEntry, keys: list[bytes]) -> bool:
    return any(hmac.compare_digest(seal(entry, key), bytes(entry.digest)) for key in keys)


def _some(entries: models.QuerySet[AuditEntry], limit: int | None) -> Iterable[AuditEntry]:
    return entries.iterator(chunk_size=2000) if limit is None else entries[:limit]


def _keys() -> list[bytes]:
    """Return the current key, then those of former secret keys, with which older entries were sealed."""
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac("portal.core.audit", "chain", secret, algorithm="sha256").digest() for secret in secrets]


def _canonical(entry: AuditEntry) -> bytes:
    """Return what the entry says as bytes: the same before it is stored and after it is read back."""
    facts = {
        "id": str(entry.id),
        "chain": entry.chain,
        "sequence": str(entry.sequence),
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": [entry.actor_kind, entry.actor_id, entry.actor_label],
        "action": entry.action,
        "object": [entry.object_type, entry.object_id, entry.object_label],
        "result": str(entry.result),
        "reason": entry.reason,
        "before": _stable(entry.before),
        "after": _stable(entry.after),
        "correlation_id": entry.correlation_id,
        "origin": entry.origin,
    }
    return json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


def _plain(value: Mapping[str, object] | None) -> object:
    """Return what a jsonb column will give back, without secrets."""
    return None if value is None else json.loads(json.dumps(redact(value), cls=DjangoJSONEncoder))


def _stable(value: object) -> object:
    """Spell numbers in the one way that survives jsonb, which turns 1e22 into 10000000000000000000000."""
    if isinstance(value, dict):
        return {key: _stable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_stable(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = Decimal(repr(value))
        return {"number": format(number.normalize(), "f") if number else "0"}
    return value


def _publish_head(entry: AuditEntry) -> None:
    log.info(
        "audit",
        sequence=entry.sequence,
        digest=bytes(entry.digest).hex(),
        action=entry.action,
        object=f"{entry.object_type}:{entry.object_id}",
        actor=entry.actor_label,
        result=str(entry.result),
    )
