"""How each service misbehaves at present. Kept in the store, so a restart changes nothing."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from portal.demo.sandbox.messages import JsonObject, Problem
from portal.demo.sandbox.store import Store

SERVICES = ("payments", "banking", "mail", "documents", "archive", "notices")
MAX_SECONDS = 600.0


class Mode(StrEnum):
    """What a service does with a request."""

    OK = "ok"
    DOWN = "down"  # 503 at once, or the connection dropped; no work is done
    SLOW = "slow"  # the work is done at once, the answer comes ``delay_seconds`` later
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After; no work is done
    HALF_RESPONSE = "half_response"  # the work is done, then its answer is cut in the middle
    SILENT = "silent"  # of notices: none is sent
    TWICE = "twice"  # of notices: each is sent two times
    RENAMED = "renamed"  # of documents: a new release, whose answers have other names for their fields


@dataclass(frozen=True, slots=True)
class Fault:
    """A service's behaviour. ``times`` counts down to 0, after which the service is well again."""

    mode: Mode = Mode.OK
    delay_seconds: float = 30.0
    latency_seconds: float = 0.0
    retry_after_seconds: int = 5
    drop_connection: bool = False
    times: int | None = None

    def as_json(self) -> JsonObject:
        """Return the fields as they are sent."""
        return asdict(self)


def parse_fault(body: JsonObject) -> Fault:
    """Return the fault that a PUT asks for.

    :raises Problem: 422 with one message per wrong field.
    """
    errors: dict[str, str] = {}
    mode = body.get("mode", Mode.OK.value)
    if mode not in set(Mode):
        errors["mode"] = f"must be one of {', '.join(Mode)}"
    seconds = {
        name: _number(body.get(name, getattr(Fault(), name)), name, errors)
        for name in ("delay_seconds", "latency_seconds", "retry_after_seconds")
    }
    drop, times = body.get("drop_connection", False), body.get("times")
    if not isinstance(drop, bool):
        errors["drop_connection"] = "must be true or false"
    if times is not None and (not isinstance(times, int) or isinstance(times, bool) or times < 1):
        errors["times"] = "must be a whole number above 0, or null"
    errors |= dict.fromkeys(body.keys() - Fault.__dataclass_fields__.keys(), "is not known")
    if errors:
        raise Problem(422, "invalid-fault", "The fault is not valid.", errors=errors)
    return Fault(
        mode=Mode(str(mode)),
        delay_seconds=seconds["delay_seconds"],
        latency_seconds=seconds["latency_seconds"],
        retry_after_seconds=round(seconds["retry_after_seconds"]),
        drop_connection=bool(drop),
        times=times if isinstance(times, int) else None,
    )


def _number(value: object, name: str, errors: dict[str, str]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SECONDS:
        errors[name] = f"must be a number from 0 to {MAX_SECONDS:.0f}"
        return 0.0
    return float(value)


class Faults:
    """The present fault of each service, read from memory and written through to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        kept = store.faults()
        self._faults = {name: parse_fault(kept.get(name, {})) for name in SERVICES}

    def all(self) -> dict[str, Fault]:
        """Return the fault of each service."""
        return dict(self._faults)

    def set(self, service: str, fault: Fault) -> None:
        """Switch a service over, now and after a restart."""
        with self._lock:
            self._write(service, fault)

    def take(self, service: str) -> Fault:
        """Return the fault that the next request meets, counting ``times`` down."""
        fault = self._faults[service]
        if fault.times is None:
            return fault
        with self._lock:
            fault = self._faults[service]
            if fault.times is not None:
                left = fault.times - 1
                self._write(service, replace(fault, times=left) if left else Fault())
        return fault

    def _write(self, service: str, fault: Fault) -> None:
        self._store.keep_fault(service, fault.as_json())
        self._faults[service] = fault
