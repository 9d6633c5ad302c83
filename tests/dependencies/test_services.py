"""A person's hand on a breaker, and the registration of dependencies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from portal.core.clock import now
from portal.core.errors import Forbidden, InvalidInput, InvalidTransition, NotFound
from portal.core.models import AuditEntry
from tests.factories import make_dependency, make_run, make_workflow, open_breaker
from tests.personas import Personas
from workflows.definition.values import Breaker as DeclaredBreaker
from workflows.definition.values import Dependency as Declared
from workflows.dependencies.services import ensure_dependency, force_breaker, reset_breaker
from workflows.engine.state import RunStatus
from workflows.models import BreakerEvent, Dependency

pytestmark = pytest.mark.django_db

NAME = "payments-gateway"
REASON = "The provider announced maintenance"
State = Dependency.State


def test_forcing_holds_the_state_until_a_time_and_is_audited(personas: Personas) -> None:
    make_dependency(NAME)
    until = now() + timedelta(hours=2)
    row = force_breaker(
        actor=personas.actor("operator"), name=NAME, state=State.FORCED_OPEN, reason=REASON, until=until
    )
    assert (row.state, row.forced_until, row.reason) == (State.FORCED_OPEN, until, REASON)
    assert BreakerEvent.objects.get().actor_label == "Operator"
    entry = AuditEntry.objects.get(action="workflows.breaker.force")
    assert (entry.object_label, entry.reason, entry.before) == (NAME, REASON, {"state": "closed"})


@pytest.mark.parametrize("who", ["viewer", "support", "manager"])
def test_only_operators_touch_a_breaker(personas: Personas, who: str) -> None:
    open_breaker(NAME)
    with pytest.raises(Forbidden):
        reset_breaker(actor=personas.actor(who), name=NAME, reason=REASON)
    assert Dependency.objects.get().state == State.OPEN


@pytest.mark.parametrize(
    ("state", "minutes", "reason", "field"),
    [
        (State.OPEN, 60, REASON, "state"),
        (State.FORCED_OPEN, -1, REASON, "until"),
        (State.FORCED_OPEN, 60 * 24 * 8, REASON, "until"),
        (State.FORCED_OPEN, 60, "  because ", "reason"),
    ],
)
def test_what_is_missing_is_named(personas: Personas, state: str, minutes: int, reason: str, field: str) -> None:
    make_dependency(NAME)
    with pytest.raises(InvalidInput) as caught:
        force_breaker(
            actor=personas.actor("operator"),
            name=NAME,
            state=state,
            reason=reason,
            until=now() + timedelta(minutes=minutes),
        )
    assert list(caught.value.fields) == [field]


def test_reset_closes_it_and_wakes_the_waiting(personas: Personas) -> None:
    run = make_run(make_workflow(), status=RunStatus.WAITING, wake_at=now() + timedelta(hours=1))
    open_breaker(NAME)
    row = reset_breaker(actor=personas.actor("operator"), name=NAME, reason=REASON)
    assert (row.state, row.opened_times, row.probe_at) == (State.CLOSED, 0, None)
    run.refresh_from_db()
    assert run.wake_at is not None
    assert run.wake_at <= now()
    assert AuditEntry.objects.filter(action="workflows.breaker.reset").exists()


def test_a_closed_breaker_cannot_be_reset(personas: Personas) -> None:
    make_dependency(NAME)
    with pytest.raises(InvalidTransition):
        reset_breaker(actor=personas.actor("operator"), name=NAME, reason=REASON)


def test_an_unknown_dependency_is_not_found(personas: Personas) -> None:
    with pytest.raises(NotFound):
        reset_breaker(actor=personas.actor("operator"), name="nothing", reason=REASON)


def test_registering_again_keeps_the_breaker_and_takes_the_new_settings() -> None:
    ensure_dependency(Declared(NAME))
    open_breaker(NAME)
    row = ensure_dependency(Declared(NAME, timeout=3, breaker=DeclaredBreaker(minimum_calls=4)))
    assert row.state == State.OPEN
    assert (row.settings["timeout_seconds"], row.settings["minimum_calls"]) == (3, 4)
    assert Dependency.objects.count() == 1
