"""A POST that is sent twice acts once (the Idempotency-Key header).

The answer is written in the transaction of the act itself. So there is never an act without its answer or an
answer without its act, whatever dies in between, and two requests at the same time cannot both act: the
second waits for the first at the unique key. Refusals are not kept: nothing happened, so the same key may be
tried again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction

from portal.core.clock import now
from portal.core.errors import IdempotencyKeyReused, InvalidInput
from portal.core.models import IdempotentRequest

KEPT_FOR = timedelta(hours=24)
MAX_KEY_LENGTH = 200
_KEY = re.compile(rf"[!-~]{{1,{MAX_KEY_LENGTH}}}")
_PURGED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and JSON body of a response."""

    status_code: int
    body: Any
    replayed: bool = False


def checked_key(key: str | None) -> str | None:
    """Return the key of a request, if it sent one.

    :raises InvalidInput: when it is not 1 to 200 visible ASCII characters.
    """
    if key is None or _KEY.fullmatch(key):
        return key
    message = f"Use 1 to {MAX_KEY_LENGTH} visible ASCII characters."
    raise InvalidInput("The Idempotency-Key is not valid.", fields={"Idempotency-Key": [message]})


def fingerprint(method: str, path: str, body: Mapping[str, Any]) -> bytes:
    """Return what tells whether two requests ask for the same (SHA-256)."""
    canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()


def answer_once(*, actor_id: str, key: str, request: bytes, act: Callable[[], Answer]) -> Answer:
    """Return what ``act`` answers, or what it answered to the same caller, key and request in the last day.

    ``request`` is its :func:`fingerprint`. Locks the key until the act has committed.

    :raises IdempotencyKeyReused: when the key was used for another request.
    """
    with transaction.atomic():
        _purge(actor_id, key)
        row, is_new = IdempotentRequest.objects.get_or_create(
            actor_id=actor_id, key=key, defaults={"fingerprint": request, "created_at": now()}
        )
        if bytes(row.fingerprint) != request:
            raise IdempotencyKeyReused
        if not is_new:
            return Answer(row.status_code, row.body, replayed=True)
        answer = act()
        row.status_code, row.body = answer.status_code, answer.body
        row.save(update_fields=["status_code", "body"])
        return answer


def _purge(actor_id: str, key: str) -> None:
    """Forget what is older than a day: this key, and a few others so that the table stays small."""
    expired = IdempotentRequest.objects.filter(created_at__lt=now() - KEPT_FOR)
    expired.filter(actor_id=actor_id, key=key).delete()
    batch = expired.select_for_update(skip_locked=True).values_list("pk", flat=True)[:_PURGED_AT_ONCE]
    IdempotentRequest.objects.filter(pk__in=list(batch)).delete()
