"""An operation starts on exactly what was shown, once, within the limits of who starts it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from portal.core.access import may
from portal.core.errors import Conflict, Forbidden, InvalidInput, InvalidTransition, NotFound
from portal.core.models import AuditEntry
from portal.core.permissions import Permission, Role
from tests.bulk.help import REASON, begin, failed_runs, select, statuses
from tests.engine import drive
from tests.engine.flows import order_flow
from tests.factories import make_run, make_workflow
from tests.personas import Personas, make_user
from workflows.bulk import conf, engine
from workflows.bulk.access import access_operation, visible_operations
from workflows.bulk.limits import limit_of
from workflows.bulk.preview import dry_run, stage_sizes
from workflows.bulk.services import (
    Expected,
    SelectionChanged,
    approve_operation,
    continue_operation,
    reject_operation,
    start_operation,
)
from workflows.engine.state import RunStatus
from workflows.models import BulkItem, BulkOperation
from workflows.services import cancel_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def two_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators may start two alone, managers approve three."""
    limits = {Role.OPERATOR: conf.Limit(alone=2), Role.MANAGER: conf.Limit(approve=3)}
    monkeypatch.setattr("workflows.bulk.limits.LIMITS", conf.LIMITS | limits)


def test_it_refuses_when_another_run_joined(personas: Personas) -> None:
    actor = personas.actor("operator")
    failed_runs(2)
    seen = dry_run(actor, select())
    failed_runs(1)
    with pytest.raises(SelectionChanged, match="2 runs when you looked, and 3 now"):
        start_operation(actor=actor, selection=select(), expected=Expected(seen.count, seen.digest), reason=REASON)
    assert BulkOperation.objects.count() == 0


def test_it_refuses_when_as_many_match_but_others(personas: Personas) -> None:
    actor = personas.actor("operator")
    first, _ = failed_runs(2)
    seen = dry_run(actor, select("cancel"))
    cancel_run(actor=actor, run_id=first.pk, reason="This one is withdrawn")
    failed_runs(1)
    with pytest.raises(SelectionChanged, match="not the same ones"):
        start_operation(
            actor=actor, selection=select("cancel"), expected=Expected(seen.count, seen.digest), reason=REASON
        )


def test_what_the_command_does_not_touch_may_come_and_go(personas: Personas) -> None:
    actor = personas.actor("operator")
    failed_runs(1)
    seen = dry_run(actor, select("resume", ""))
    drive.drive(drive.started(order_flow))
    started = start_operation(
        actor=actor, selection=select("resume", ""), expected=Expected(seen.count, seen.digest), reason=REASON
    )
    assert started.operation.total == 1


def test_the_same_request_twice_starts_one(personas: Personas) -> None:
    failed_runs(2)
    key = uuid4()
    first = begin(personas.actor("operator"), operation_id=key)
    again = start_operation(
        actor=personas.actor("operator"),
        selection=select(),
        expected=Expected(2, ""),
        reason=REASON,
        operation_id=key,
    )
    assert (again.operation, again.created) == (first, False)
    assert BulkItem.objects.count() == 2


def test_a_reason_a_known_rate_and_something_to_do_are_needed(personas: Personas) -> None:
    with pytest.raises(Conflict):
        begin(personas.actor("operator"))
    failed_runs(1)
    for wrong in ({"reason": "because"}, {"per_minute": 7}):
        with pytest.raises(InvalidInput):
            begin(personas.actor("operator"), **wrong)


def test_the_stages_are_cut_from_the_ladder() -> None:
    assert [stage_sizes(n, (1, 10)) for n in (1, 2, 11, 12, 312)] == [[1], [1, 1], [1, 10], [1, 10, 1], [1, 10, 301]]


def test_the_table_of_limits_fits_the_table_of_rights(personas: Personas) -> None:
    for role in Role:
        limit, actor = limit_of(personas.actor(role.value)), personas.actor(role.value)
        assert (limit.alone > 0) <= may(actor, Permission.START_BULK_OPERATION)
        assert (limit.approve > 0) == may(actor, Permission.APPROVE_BULK_OPERATION)
    assert limit_of(personas.actor("operator")).alone == 100
    assert limit_of(personas.actor("team_operator")).alone == 100
    assert limit_of(personas.actor("outsider")) == conf.BY_GRANT
    assert not may(personas.actor("outsider"), Permission.START_BULK_OPERATION)


def test_more_than_one_may_start_alone_waits_for_a_second_person(personas: Personas, two_alone: None) -> None:
    failed_runs(3)
    operation = begin(personas.actor("operator"))
    assert operation.status == "asked"
    assert not engine.advance(operation.pk)
    approve_operation(actor=personas.actor("manager"), operation_id=operation.pk, reason="Agreed, the cause is gone.")
    assert engine.advance(operation.pk)
    entries = AuditEntry.objects.filter(object_id=str(operation.pk)).order_by("sequence")
    assert [(entry.action, entry.actor_label) for entry in entries] == [
        ("workflows.bulk.ask", "Operator"),
        ("workflows.bulk.approve", "Manager"),
    ]


def test_nobody_approves_their_own_or_more_than_their_limit(personas: Personas, two_alone: None) -> None:
    failed_runs(4)
    operation = begin(personas.actor("operator"))
    with pytest.raises(Forbidden, match="at a time; this is 4"):
        approve_operation(actor=personas.actor("manager"), operation_id=operation.pk, reason="Agreed, go ahead.")
    with pytest.raises(Forbidden):
        approve_operation(actor=personas.actor("operator"), operation_id=operation.pk, reason="Agreed, go ahead.")
    both = make_user("both", Role.OPERATOR, Role.MANAGER)
    BulkOperation.objects.update(user=both)
    personas.operator.groups.set(both.groups.all())
    BulkOperation.objects.update(user=personas.operator)
    with pytest.raises(Forbidden, match="yourself"):
        approve_operation(actor=personas.actor("operator"), operation_id=operation.pk, reason="Agreed, go ahead.")


def test_what_waits_for_approval_can_be_rejected_but_not_continued(personas: Personas, two_alone: None) -> None:
    failed_runs(3)
    operation = begin(personas.actor("operator"))
    with pytest.raises(InvalidTransition):
        continue_operation(actor=personas.actor("operator"), operation_id=operation.pk, reason="I cannot wait.")
    reject_operation(actor=personas.actor("manager"), operation_id=operation.pk, reason="Not before Monday.")
    operation.refresh_from_db()
    assert operation.status == "stopped"
    assert statuses(operation) == ["pending"] * 3


def test_an_operation_on_other_teams_things_is_not_seen(personas: Personas) -> None:
    make_run(make_workflow(team=personas.team), status=RunStatus.FAILED)
    operation = begin(personas.actor("admin"))
    assert list(visible_operations(personas.actor("viewer"))) == [operation]
    assert list(visible_operations(personas.actor("team_operator"))) == []
    with pytest.raises(NotFound):
        access_operation(personas.actor("team_operator"), operation.pk)
