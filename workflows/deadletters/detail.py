"""What a dead letter's page shows: what happened, what the event says and what does not fit, and what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.models import AuditEntry
from portal.core.permissions import Permission
from workflows.deadletters import reading, words
from workflows.deadletters.conf import REPLAY_LIMIT
from workflows.deadletters.payload import Change, shown_changes
from workflows.deadletters.queries import access_dead_letter, letter_state
from workflows.dependencies.breaker import State as BreakerState
from workflows.dependencies.queries import SHOWN
from workflows.models import DeadLetter, Dependency, Run, Workflow, WorkflowVersion
from workflows.presentation import State, run_state, short_id
from workflows.queries.run_parts import ErrorView, error_view

_ACTS = {
    "workflows.dead_letter.replay": ("running", "Replayed"),
    "workflows.dead_letter.edit": ("running", "Edited and replayed"),
    "workflows.dead_letter.discard": ("paused", "Discarded"),
    "workflows.dead_letter.restore": ("waiting", "Brought back"),
}


@dataclass(frozen=True, slots=True)
class Misfit:
    """A field of the payload that the subscriber cannot read, and why."""

    field: str
    problems: Sequence[str]


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody changed in the payload, as far as the reader may see it."""

    at: datetime
    by: str
    reason: str
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did with the letter."""

    at: datetime
    state: str
    what: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Target:
    """The service that the subscriber's first step calls, and whether it can be called now."""

    dependency: Dependency
    state: State
    step: str

    @property
    def is_cut_off(self) -> bool:
        """Whether what is replayed now would only wait."""
        return self.dependency.state in {BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.FORCED_OPEN}


@dataclass(frozen=True, slots=True)
class LetterDetail:
    """A dead letter's page."""

    letter: DeadLetter
    state: State
    happened: str
    now: str
    payload: Any
    hides_values: bool
    misfits: Sequence[Misfit]
    reads: str
    edits: Sequence[Edit]
    acts: Sequence[Act]
    origin: Run | None
    result: Run | None
    target: Target | None
    error: ErrorView

    @property
    def consumer(self) -> str:
        """Who should have acted, by title."""
        return words.consumer_title(self.letter)

    @property
    def short_id(self) -> str:
        """The end of its id."""
        return short_id(self.letter.pk)

    @property
    def result_state(self) -> State | None:
        """How the run is doing that the replay started."""
        return run_state(self.result) if self.result else None

    @property
    def replays_left(self) -> int:
        """How often it may be replayed as it is."""
        return max(REPLAY_LIMIT - self.letter.replay_count, 0)

    @property
    def replay_limit(self) -> int:
        """How often it may be replayed as it is, from the first time on."""
        return REPLAY_LIMIT

    @property
    def removed_at(self) -> str:
        """Until when a discarded one can be brought back."""
        return words.removed_words(self.letter) if self.letter.discarded_at else ""


def letter_detail(actor: Actor, letter_id: UUID) -> LetterDetail:
    """Return a letter's page. At most seven queries.

    :raises NotFound: if there is none, or none that the actor may see.
    """
    letter = access_dead_letter(actor, letter_id)
    sees_payload = may(actor, Permission.VIEW_PAYLOAD, letter)
    sensitive = [] if sees_payload else reading.sensitive_in(letter)
    contract = reading.reader_of(letter)
    origin, result = _runs(actor, letter)
    return LetterDetail(
        letter=letter,
        state=letter_state(letter),
        happened=words.what_happened(letter),
        now=words.what_now(letter),
        payload=reading.shown_payload(actor, letter),
        hides_values=not sees_payload and sensitive != [],
        misfits=_misfits(letter),
        reads=str(contract) if contract else "",
        edits=[_edit(kept, sensitive) for kept in reversed(letter.edits)],
        acts=_acts(letter),
        origin=origin,
        result=result,
        target=_target(letter.workflow),
        error=error_view(letter.error, sees_payload=sees_payload),
    )


def _misfits(letter: DeadLetter) -> list[Misfit]:
    found = reading.problems_of(letter, letter.payload)
    return [Misfit(field.removeprefix("payload").lstrip(".") or "the whole", told) for field, told in found.items()]


def _edit(kept: Mapping[str, Any], sensitive: Sequence[str] | None) -> Edit:
    changes = shown_changes(kept["changes"], sensitive)
    return Edit(datetime.fromisoformat(kept["at"]), kept["by"], kept["reason"], changes)


def _acts(letter: DeadLetter) -> list[Act]:
    entries = AuditEntry.objects.filter(
        object_type="dead_letter", object_id=str(letter.pk), action__in=_ACTS, result=AuditEntry.Result.DONE
    ).order_by("-sequence")
    return [Act(entry.at, *_ACTS[entry.action], entry.actor_label, entry.reason) for entry in entries]


def _runs(actor: Actor, letter: DeadLetter) -> tuple[Run | None, Run | None]:
    """Return the run that emitted the event and the run that the replay led to, if the actor may see them."""
    wanted = [key for key in (letter.message.run_id, letter.inbox.run_id) if key]
    runs = Run.objects.filter(pk__in=wanted).select_related("workflow__team").defer("input", "output", "error")
    found: dict[UUID | None, Run] = {run.pk: run for run in runs if may(actor, Permission.VIEW_RUN, run)}
    return found.get(letter.message.run_id), found.get(letter.inbox.run_id)


def _target(workflow: Workflow | None) -> Target | None:
    """Return what the first step that calls somebody calls: what is replayed gets stuck there first."""
    if workflow is None:
        return None
    version = WorkflowVersion.objects.filter(workflow=workflow, number=workflow.latest_version).first()
    step = next((step for step in version.definition["steps"] if step["calls"]), None) if version else None
    row = Dependency.objects.filter(name=step["calls"]).first() if step else None
    return Target(row, SHOWN[BreakerState(row.state)], step["title"]) if step and row else None
