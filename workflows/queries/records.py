"""A run and a workflow as the API gives them: everything, as far as the caller may see it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from portal.core.access import authorise, may, within_reach
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.engine.state import RunStatus, StepStatus
from workflows.filters import waiting_for_dependency
from workflows.gaps import Gap, gaps_in
from workflows.models import ApprovalRequest, Attempt, Dependency, Run, RunEvent, StepRun, Workflow, WorkflowVersion
from workflows.queries.access import access_run
from workflows.queries.approvals import open_request
from workflows.queries.family import Family, family_of
from workflows.redaction import Json, Redaction, redaction_of


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """A try that did not complete its step."""

    number: int
    kind: str
    outcome: str
    error: Json | None
    worker: str
    started_at: datetime | None
    ended_at: datetime
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step of a run; one that was not reached is pending. ``tries`` are the attempts that did not complete it."""

    step: StepRun
    definition: Json
    output: Any
    error: Json | None
    tries: list[AttemptRecord]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run with everything below it, redacted for its reader."""

    run: Run
    input: Any
    output: Any
    error: Json | None
    steps: list[StepRecord]
    question: ApprovalRequest | None
    family: Family

    @property
    def gaps(self) -> list[Gap]:
        """What it lacks, if it is degraded."""
        return gaps_in(record.step for record in self.steps) if self.run.status == RunStatus.DEGRADED else []

    @property
    def checkpoints(self) -> list[StepRun]:
        """The steps that were reached."""
        return [record.step for record in self.steps if record.step.status != StepStatus.PENDING]


@dataclass(frozen=True, slots=True)
class WorkflowRecord:
    """A workflow with the definition of its latest version."""

    workflow: Workflow
    definition: Json


def visible_workflows(actor: Actor) -> QuerySet[Workflow]:
    """Return the workflows that ``actor`` may see, each with its team."""
    return Workflow.objects.filter(within_reach(actor, Permission.VIEW_WORKFLOW, workflow="")).select_related("team")


def workflow_record(actor: Actor, slug: str) -> WorkflowRecord:
    """Return a workflow and its latest definition. Two queries.

    :raises NotFound: if there is no such workflow, or none that the actor may see.
    """
    workflow = Workflow.objects.select_related("team").filter(slug=slug).first()
    if workflow is None:
        raise NotFound("There is no such workflow, or none that you may see.")
    authorise(actor, Permission.VIEW_WORKFLOW, workflow)
    return WorkflowRecord(workflow, _definition(workflow.pk, workflow.latest_version))


def run_record(actor: Actor, run_id: UUID) -> RunRecord:
    """Return a run with its steps and their attempts. Four queries.

    :raises NotFound: if there is no such run, or none that the actor may see.
    """
    run = access_run(actor, run_id)
    definition = _definition(run.workflow_id, run.version)
    shown = redaction_of(definition, sees_payload=may(actor, Permission.VIEW_PAYLOAD, run))
    reached = {row.step: row for row in StepRun.objects.filter(run=run)}
    tries = defaultdict(list)
    for attempt in Attempt.objects.filter(run=run):
        tries[attempt.step].append(_attempt_record(attempt, shown))
    return RunRecord(
        run=run,
        input=shown.input(run.input),
        output=shown.run_output(run.output),
        error=shown.error(run.error),
        steps=[_step_record(run, step, reached, tries, shown) for step in definition["steps"]],
        question=open_request(run),
        family=family_of(actor, run, definition),
    )


def run_events(actor: Actor, run_id: UUID) -> QuerySet[RunEvent]:
    """Return the history of a run that ``actor`` may see, first event first."""
    return RunEvent.objects.filter(run=access_run(actor, run_id)).order_by("number")


def waiting_runs(actor: Actor) -> dict[str, int]:
    """Return how many runs that ``actor`` may see wait for each dependency, by its name. Two queries."""
    names = Dependency.objects.values_list("name", flat=True)
    waiting = Run.objects.filter(within_reach(actor, Permission.VIEW_RUN), waiting_for_dependency(*names))
    return dict(waiting.order_by().values_list("waiting_on").annotate(Count("pk")))


def _definition(workflow_id: int, number: int) -> Json:
    version = WorkflowVersion.objects.get(workflow=workflow_id, number=number)
    definition: Json = version.definition
    return definition


def _attempt_record(attempt: Attempt, shown: Redaction) -> AttemptRecord:
    return AttemptRecord(
        number=attempt.number,
        kind=attempt.kind,
        outcome=attempt.outcome,
        error=shown.error(attempt.error),
        worker=attempt.worker,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        retry_at=attempt.retry_at,
    )


def _step_record(
    run: Run,
    definition: Json,
    reached: dict[str, StepRun],
    tries: dict[str, list[AttemptRecord]],
    shown: Redaction,
) -> StepRecord:
    name = definition["name"]
    unreached = StepRun(run=run, step=name, position=definition["position"], status=StepStatus.PENDING)
    row = reached.get(name, unreached)
    return StepRecord(
        step=row,
        definition=definition,
        output=shown.step_output(name, row.output),
        error=shown.error(row.error),
        tries=tries.get(name, []),
    )
