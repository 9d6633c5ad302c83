"""What is written about dependencies: their registration, and a person's hand on the breaker."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from portal.core.access import authorise
from portal.core.actor import Actor
from portal.core.audit import record
from portal.core.clock import now
from portal.core.errors import InvalidInput, InvalidTransition, NotFound, StaleVersion
from portal.core.events import BreakerClosed, BreakerOpened, publish
from portal.core.permissions import Permission
from portal.core.services.reasons import checked_reason
from workflows.definition.values import Dependency as Declared
from workflows.dependencies import limits, store
from workflows.dependencies.breaker import FORCED_STATES, SLOT_SECONDS, Breaker, Policy, State
from workflows.dependencies.guard import WAKE_PER_SECOND
from workflows.models import Dependency

MAX_FORCED = timedelta(days=7)
STATE_WORDS = {state: str(Dependency.State(state).label).lower() for state in State}


def ensure_dependency(declared: Declared) -> Dependency:
    """Return the dependency's row, made or brought up to date with what is declared; the breaker stays as it is."""
    settings = asdict(_policy(declared))
    dependency, created = Dependency.objects.get_or_create(
        # As if the breaker had been closed for a while: the calls of the present slot count.
        name=declared.name,
        defaults={"settings": settings, "state_since": now() - timedelta(seconds=SLOT_SECONDS)},
    )
    if not created and dependency.settings != settings:
        dependency.settings = settings
        dependency.save(update_fields=["settings"])
    if declared.max_concurrency or declared.rate:
        with connection.cursor() as cursor:
            limits.ensure_limits(
                cursor, dependency.pk, at_once=declared.max_concurrency, has_rate=declared.rate is not None
            )
    return dependency


def _policy(declared: Declared) -> Policy:
    breaker = declared.breaker
    return Policy(
        availability=declared.availability,
        timeout_seconds=declared.timeout,
        failure_rate=breaker.failure_rate,
        slow_rate=breaker.slow_rate,
        slow_after_seconds=breaker.slow_after,
        minimum_calls=breaker.minimum_calls,
        window_seconds=breaker.window,
        open_seconds=breaker.open_for,
        open_at_most_seconds=breaker.open_at_most,
        probes=breaker.probes,
        max_concurrency=declared.max_concurrency,
        **_rate(declared),
    )


def _rate(declared: Declared) -> dict[str, Any]:
    rate = declared.rate
    if rate is None:
        return {}
    return {"rate_calls": rate.calls, "rate_per_seconds": rate.per_seconds, "rate_burst": rate.burst}


@transaction.atomic
def force_breaker(
    *, actor: Actor, name: str, state: str, reason: str, until: datetime, seen_since: datetime | None = None
) -> Dependency:
    """Hold the breaker open (no calls) or closed (all calls, whatever their outcome) until a time.

    When the time is over, a breaker that was held open is probed; one that was held closed decides for itself.

    :param seen_since: ``state_since`` of the state that the person saw.
    :raises StaleVersion: if the breaker has moved since.
    :raises InvalidInput: for another state, a short reason, or an end that is past or more than seven days away.
    """
    authorise(actor, Permission.OPERATE_DEPENDENCY)
    problems: dict[str, list[str]] = {}
    if state not in FORCED_STATES:
        problems["state"] = ["Choose whether to hold it open or closed."]
    if not now() < until <= now() + MAX_FORCED:
        problems["until"] = ["Choose an end in the future, at most seven days away."]
    if problems:
        raise InvalidInput(fields=problems)
    reason = checked_reason(reason)
    breaker = _locked(name, seen_since)
    new = State(state)
    with connection.cursor() as cursor:
        store.change_state(
            cursor, breaker, new, reason=reason, actor_label=actor.label, opened_times=0, forced_until=until
        )
        # Those that wait for a longer hold look again: what they wait for may now end earlier.
        store.wake_waiting_runs(cursor, name, per_second=WAKE_PER_SECOND)
    if new is State.FORCED_OPEN:
        publish(BreakerOpened(dependency=name, reason=reason))
    elif breaker.state is not State.CLOSED:
        publish(BreakerClosed(dependency=name, reason=reason))
    return _audited(actor, "workflows.breaker.force", breaker, reason)


@transaction.atomic
def reset_breaker(*, actor: Actor, name: str, reason: str, seen_since: datetime | None = None) -> Dependency:
    """Close the breaker and forget the past: only calls from now on count. Waiting runs go on, a few a second.

    :param seen_since: ``state_since`` of the state that the person saw.
    :raises StaleVersion: if the breaker has moved since.
    :raises InvalidTransition: if it is closed already.
    """
    authorise(actor, Permission.OPERATE_DEPENDENCY)
    reason = checked_reason(reason)
    breaker = _locked(name, seen_since)
    if breaker.state is State.CLOSED:
        raise InvalidTransition(f"The breaker of {name} is closed already.")
    with connection.cursor() as cursor:
        store.change_state(cursor, breaker, State.CLOSED, reason=reason, actor_label=actor.label, opened_times=0)
        store.wake_waiting_runs(cursor, name, per_second=WAKE_PER_SECOND)
    publish(BreakerClosed(dependency=name, reason=reason))
    return _audited(actor, "workflows.breaker.reset", breaker, reason)


def _locked(name: str, seen_since: datetime | None) -> Breaker:
    with connection.cursor() as cursor:
        breaker = store.lock_breaker(cursor, name)
    if breaker is None:
        raise NotFound(f"There is no dependency {name}.")
    if seen_since is not None and seen_since != breaker.state_since:
        raise StaleVersion(
            f"The breaker of {name} has changed since you looked: it is {STATE_WORDS[breaker.state]} now. "
            f"Reason: {breaker.reason or 'none given'}."
        )
    return breaker


def _audited(actor: Actor, action: str, before: Breaker, reason: str) -> Dependency:
    dependency = Dependency.objects.get(pk=before.id)
    until = dependency.forced_until
    record(
        actor=actor,
        action=action,
        obj=dependency,
        reason=reason,
        before={"state": str(before.state)},
        after={"state": dependency.state, "until": until.isoformat() if until else None},
    )
    return dependency
