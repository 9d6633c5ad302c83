"""What became of a run, in plain words: the sentence at the head of its page.

Says only what is known. Whether a call that failed had an effect on the other side often is not, and then the
sentence says so: "nothing was charged" without knowing it would cost somebody money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from portal.core.durations import duration_words
from workflows.engine.state import DONE_STEP_STATUSES, Request, RunStatus, StepStatus, WaitingReason
from workflows.errors import (
    BusinessRuleViolation,
    ConfigurationError,
    DependencyUnavailable,
    InvalidData,
    ItemsFailed,
    PermanentError,
    RateLimited,
    TransientError,
    WorkflowError,
)
from workflows.gaps import gap_of, gaps_in
from workflows.locks.queries import Place
from workflows.models import Run, RunEvent, StepRun
from workflows.under_way import is_at_items, steps_under_way

Json = Mapping[str, Any]
Part = str | datetime | timedelta
Sentence = tuple[Part, ...]

_UNDONE = frozenset({StepStatus.COMPENSATED})
# Errors that a step raises on purpose say that its effect did not happen; any other may have come too late.
_TOLD_BY_THE_STEP = frozenset(
    error.code
    for error in (
        WorkflowError,
        TransientError,
        RateLimited,
        DependencyUnavailable,
        PermanentError,
        InvalidData,
        ConfigurationError,
        BusinessRuleViolation,
    )
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the sentence is made from.

    ``last`` holds the latest event of each kind, ``steps`` the steps with a row, ``silent`` the kinds of process
    (worker, dispatcher) that the run needs now and that are not heard from, ``queue`` its place before a lock,
    ``fallbacks`` what was said of those that were used, by step.
    """

    run: Run
    definition: Json
    steps: Mapping[str, StepRun]
    last: Mapping[str, RunEvent]
    waiting_since: datetime | None
    silent: Sequence[str]
    now: datetime
    queue: Place | None = None
    fallbacks: Mapping[str, Json] = field(default_factory=dict)

    def declared(self, name: str) -> Json:
        """Return the declaration of a step."""
        return next((s for s in self.definition["steps"] if s["name"] == name), {})

    def named(self, *names: str) -> str:
        """Return "step 2 of 5 (Charge the client)"; for more than one "step 1 or 2 of 5 (Check or Charge)"."""
        declared = [step["name"] for step in self.definition["steps"]]
        known = [name for name in names if name in declared]
        if not known:
            return next(iter(names), "") or "its start"
        numbers = " or ".join(str(declared.index(name) + 1) for name in known)
        return f"step {numbers} of {len(declared)} ({' or '.join(map(self.title, known))})"

    def in_status(self, *statuses: StepStatus) -> list[str]:
        """Return the steps in any of ``statuses``, in the order of the definition."""
        names = (s["name"] for s in self.definition["steps"])
        return [name for name in names if name in self.steps and self.steps[name].status in statuses]

    def title(self, name: str) -> str:
        """Return a step's title."""
        return str(self.declared(name).get("title") or name)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A headline and what else is known. Moments and durations are values, for the page to write in local time."""

    headline: Sentence
    notes: tuple[Sentence, ...] = field(default=())


def outcome(facts: Facts) -> Outcome:
    """Return what became of the run, or where it is."""
    if is_at_items(facts.run, facts.definition, facts.steps):
        return _at_items(facts)
    return _OUTCOMES[RunStatus(facts.run.status)](facts)


def plain(sentence: Sentence) -> str:
    """Return a sentence as text without moments, for announcements and titles."""
    return "".join(part for part in sentence if isinstance(part, str)).replace("  ", " ").strip()


def _scheduled(facts: Facts) -> Outcome:
    if facts.run.workflow.paused_at:
        return _held(facts, facts.run.workflow.paused_at)
    when = facts.run.wake_at
    return Outcome(("Starts at ", when, ".") if when else ("Scheduled to start later.",))


def _queued(facts: Facts) -> Outcome:
    resumed = facts.last.get("run.resumed")
    since = resumed.at if resumed else facts.run.created_at
    return Outcome(("Waits for a free worker since ", since, "."), _silence(facts))


def _silence(facts: Facts) -> tuple[Sentence, ...]:
    if not facts.silent:
        return ()
    missing = " and no ".join(facts.silent)
    return ((f"No {missing} is heard from: the run stands until that is mended.",),)


def _held(facts: Facts, since: datetime) -> Outcome:
    workflow = facts.run.workflow
    person = workflow.paused_by
    who = f" by {person.get_full_name() or person.get_username()}" if person else ""
    why = f": {_stopped(workflow.paused_reason)}" if workflow.paused_reason else "."
    note = "It starts when the workflow is resumed."
    return Outcome((f"Held: {workflow.title} is paused{who} since ", since, why), ((note,),))


def _running(facts: Facts) -> Outcome:
    run, step = facts.run, facts.steps.get(facts.run.current_step)
    names = steps_under_way(run, facts.definition, facts.now)
    headline: list[Part] = [f"Running {facts.named(*names)}"]
    if run.current_step_at:
        headline += [", for ", facts.now - run.current_step_at]
    if (number := _current_try(step)) > 1:
        headline.append(f", try {number}{_of_tries(facts, run.current_step)}")
    return Outcome((*headline, "."), _requested(facts))


def _current_try(step: StepRun | None) -> int:
    """Return the number of the try under way: a step's row counts those that ended, except while it says running."""
    if step is None:
        return 1
    return step.attempts + (step.status != StepStatus.RUNNING)


def _requested(facts: Facts) -> tuple[Sentence, ...]:
    words = {Request.PAUSE: "A pause was asked for", Request.CANCEL: "A cancellation was asked for"}
    if not facts.run.request:
        return ()
    event = facts.last.get(f"run.{facts.run.request}_requested")
    who = f" by {event.data['actor']}" if event and event.data.get("actor") else ""
    asked = words[Request(facts.run.request)]
    return ((f"{asked}{who}: it takes effect as soon as this step has ended.",),)


def _at_items(facts: Facts) -> Outcome:
    since = facts.steps[facts.run.current_step].started_at or facts.run.created_at
    return Outcome(
        (f"Working on the items of {facts.named(facts.run.current_step)} since ", since, "."), _requested(facts)
    )


def _waiting(facts: Facts) -> Outcome:
    found = _waiting_for(facts)
    is_due = facts.run.wake_at is not None and facts.run.wake_at <= facts.now
    return replace(found, notes=found.notes + _silence(facts)) if is_due else found


def _waiting_for(facts: Facts) -> Outcome:
    run = facts.run
    since = facts.waiting_since or run.current_step_at or run.created_at
    is_due = run.wake_at is None or run.wake_at <= facts.now
    again: Sentence = ("; tries again now.",) if is_due else ("; tries again at ", run.wake_at or since, ".")
    place = facts.named(run.current_step)
    match WaitingReason(run.waiting_reason):
        case WaitingReason.RETRY:
            return _waiting_for_retry(facts)
        case WaitingReason.DEPENDENCY:
            goes_on = "Nothing failed: the run goes on by itself when the service answers again."
            return Outcome((f"Waits for {run.waiting_on} since ", since, *again), ((f"At {place}. {goes_on}",),))
        case WaitingReason.CONFIGURATION:
            note = "It goes on by itself once the setting is there."
            return Outcome(("Waits for configuration since ", since, f": {run.waiting_on}."), ((note,),))
        case WaitingReason.APPROVAL:
            return _waiting_for_approval(facts, since)
        case WaitingReason.CAPACITY:
            note = "As many calls are out as the service may get. It goes on by itself when its turn comes."
            return Outcome(
                (f"Waits for its turn at {run.waiting_on} since ", since, "."), ((f"At {place}. {note}",),)
            )
        case WaitingReason.LOCK:
            return _waiting_for_lock(facts, since)
        case WaitingReason.TIMER:
            return _sleeping(facts, since)
        case WaitingReason.EVENT:
            return _waiting_for_event(facts, since)
        case _:
            what = run.waiting_on or run.waiting_reason
            return Outcome((f"Waits for {what} since ", since, f" at {place}", *again))


def _waiting_for_approval(facts: Facts, since: datetime) -> Outcome:
    run = facts.run
    if "step.asked" in facts.last and facts.declared(run.current_step).get("kind") != "approval":
        return _asked(facts, since)
    headline: Sentence = (f"Waits for {run.waiting_on} since ", since)
    if run.wake_at:
        headline = (*headline, ", until ", run.wake_at)
    asked, reminded = facts.last.get("step.waiting"), facts.last.get("step.reminded")
    question = str(asked.data.get("question", "")) if asked else ""
    notes: tuple[Sentence, ...] = ((f"At {facts.named(run.current_step)}: {question}",),)
    if reminded and asked and reminded.number > asked.number:
        notes += (("Overdue: it was to be answered by ", reminded.at, "."),)
    return Outcome((*headline, "."), notes)


def _waiting_for_event(facts: Facts, since: datetime) -> Outcome:
    """Of an event by its key, or of another run's end."""
    run, place = facts.run, facts.named(facts.run.current_step)
    if facts.declared(run.current_step).get("kind") == "child":
        note = f"At {place}. It goes on by itself when that run has ended."
        return Outcome((f"Waits for {run.waiting_on} since ", since, "."), ((note,),))
    until: Sentence = (", until ", run.wake_at) if run.wake_at else ()
    note = f"At {place}. It goes on when the event comes, and without it when that time is over."
    return Outcome((f"Waits for the event {run.waiting_on} since ", since, *until, "."), ((note,),))


def _sleeping(facts: Facts, since: datetime) -> Outcome:
    run, place = facts.run, facts.named(facts.run.current_step)
    until: Sentence = (" until ", run.wake_at) if run.wake_at else ()
    note = "It goes on by itself then. A resume does not wake it; to go on at once, skip the step."
    return Outcome((f"Sleeps at {place} since ", since, *until, "."), ((note,),))


def _asked(facts: Facts, since: datetime) -> Outcome:
    """A step failed, and a person is asked in its place."""
    name = facts.run.current_step
    step = facts.steps.get(name)
    message = _message((step.error if step else None) or facts.run.error)
    how = "Skip the step with what it should have given, or resume to try it again."
    why: tuple[Sentence, ...] = ((f"{facts.title(name)} failed: {message}",),) if message else ()
    return Outcome(("Asks a person since ", since, f": {_stopped(facts.run.waiting_on)}"), (*why, (how,)))


def _waiting_for_lock(facts: Facts, since: datetime) -> Outcome:
    place, run = facts.queue, facts.run
    headline: Sentence = (f"Waits for the lock {run.waiting_on} since ", since)
    if place is None:
        return Outcome((*headline, f" at {facts.named(run.current_step)}."))
    order = "next in the queue" if place.number == 1 else f"number {place.number} of {place.length} in the queue"
    goes_on = "It goes on by itself when its turn comes."
    if place.holder is None:
        return Outcome((*headline, f", {order}."), ((f"The lock is being handed on. {goes_on}",),))
    at = f" at {place.holder.step_words}" if place.holder.run else ""
    holds: Sentence = (f"{place.holder.name[:1].upper()}{place.holder.name[1:]} holds it{at} since ",)
    return Outcome((*headline, f", {order}."), ((*holds, place.holder.since, f". {goes_on}"),))


def _waiting_for_retry(facts: Facts) -> Outcome:
    run = facts.run
    step = facts.steps.get(run.current_step)
    number = _current_try(step)
    headline: list[Part] = [f"Waits to try {facts.named(run.current_step)} again"]
    if run.wake_at and run.wake_at > facts.now:
        headline += [" at ", run.wake_at]
    headline.append(f" (try {number}{_of_tries(facts, run.current_step)}).")
    message = _message((step.error if step else None) or run.error)
    return Outcome(tuple(headline), ((f"Last try: {message}",),) if message else ())


def _paused(facts: Facts) -> Outcome:
    uncertain = facts.in_status(StepStatus.UNCERTAIN)
    if uncertain:
        return _undecided(facts, uncertain[0])
    undone, paused = facts.last.get("run.rolled_back"), facts.last.get("run.paused")
    if undone and (paused is None or undone.number > paused.number):
        kept = facts.title(str(undone.data.get("to_step") or ""))
        back: Sentence = (f"Rolled back to {kept} at ", undone.at, ", and paused there.")
        return Outcome(back, (*_undone(facts), *_kept(facts)))
    return Outcome(_by_whom(facts, "run.paused", "Paused"), _kept(facts))


def _succeeded(facts: Facts) -> Outcome:
    skipped = facts.in_status(StepStatus.SKIPPED)
    done = f"all {len(facts.definition['steps'])} steps are done"
    if skipped:
        done = f"{_titles(facts, skipped)} {'was' if len(skipped) == 1 else 'were'} skipped, all other steps are done"
    return Outcome(("Succeeded in ", _length(facts), f": {done}."), _late(facts))


def _degraded(facts: Facts) -> Outcome:
    lacking = {gap.step for gap in gaps_in(facts.steps.values())}
    lacking.update(facts.in_status(StepStatus.SKIPPED))
    gaps = [step["name"] for step in facts.definition["steps"] if step["name"] in lacking]
    notes = tuple((_gap(facts, name),) for name in gaps)
    return Outcome(("Finished in ", _length(facts), " with gaps."), notes + _late(facts))


def _gap(facts: Facts, name: str) -> str:
    step = facts.steps[name]
    gap = gap_of(step)
    if gap and gap.what == "items":
        return f"{facts.title(name)} {gap.items_words}: {_stopped(gap.names_words)}"
    message = _message(step.error)
    why = f": {message}" if message else "."
    words = {
        StepStatus.SKIPPED: "was skipped",
        StepStatus.FELL_BACK: _fallback_words(facts.fallbacks.get(name, {})),
        StepStatus.FAILED: "failed, and is optional",
    }
    return f"{facts.title(name)} {words[StepStatus(step.status)]}{why}"


def _fallback_words(told: Json) -> str:
    age = told.get("age_seconds")
    return "used its fallback" if age is None else f"used the value of {duration_words(timedelta(seconds=age))} ago"


def _failed(facts: Facts) -> Outcome:
    uncertain = facts.in_status(StepStatus.UNCERTAIN)
    if uncertain:
        return _undecided(facts, uncertain[0])
    failed = facts.in_status(StepStatus.FAILED)
    name = facts.run.current_step if facts.run.current_step in failed or not failed else failed[0]
    step = facts.steps.get(name)
    error = (step.error if step else None) or facts.run.error
    message = _message(error) or "no reason was recorded."
    tries = f" after {step.attempts} tries" if step and step.attempts > 1 else ""
    notes = (_effect(facts, name, error), *_kept(facts))
    return Outcome((f"Failed at {facts.named(name)}{tries}: {message}",), tuple(note for note in notes if note))


def _effect(facts: Facts, name: str, error: Json | None) -> Sentence:
    """Say what a step that failed may have left behind."""
    step = facts.declared(name)
    if error and error.get("code") == ItemsFailed.code:
        return ("Items that are done are kept; a resume does the others, each under its own operation key.",)
    match step.get("effect"):
        case "database":
            return ("Nothing of this step was written: its changes and its checkpoint commit together.",)
        case "external":
            target = step["calls"] or "the other side"
            if error and error.get("code") in _TOLD_BY_THE_STEP:
                return (f"By what the step reports, {target} did not carry it out.",)
            known = f"Whether {target} carried it out is not known"
            if step["verifies"]:
                return (f"{known}; a resume asks {target} before it tries again.",)
            if step["idempotent"]:
                return (f"{known}; a resume repeats it under the same operation key.",)
            return (f"{known}, and a resume would send it again.",)
        case _:
            return ()


def _undecided(facts: Facts, name: str) -> Outcome:
    target = facts.declared(name).get("calls") or "the other side"
    return Outcome(
        (f"Uncertain at {facts.named(name)}: whether {target} carried it out is not known.",),
        (("It is not repeated by itself. Find out, then say whether it happened.",), *_kept(facts)),
    )


def _kept(facts: Facts) -> tuple[Sentence, ...]:
    done = [n for n in facts.in_status(*DONE_STEP_STATUSES) if facts.steps[n].status != StepStatus.SKIPPED]
    if not done:
        return (("No step is done yet.",),)
    verb = "is" if len(done) == 1 else "are"
    return ((f"{_titles(facts, done)} {verb} done and kept.",),)


def _rolling_back(facts: Facts) -> Outcome:
    current = facts.in_status(StepStatus.COMPENSATING)
    headline: Sentence = ("Rolling back",)
    if started := facts.last.get("run.rollback_started"):
        headline = (*headline, " since ", started.at)
    if facts.run.wake_at:
        headline = (
            *headline,
            ": waits to undo ",
            facts.title(facts.run.current_step),
            ", again at ",
            facts.run.wake_at,
        )
    elif current:
        headline = (*headline, f": undoing {_titles(facts, current)}")
    return Outcome((*headline, "."), _undone(facts))


def _undone(facts: Facts) -> tuple[Sentence, ...]:
    undone = facts.in_status(*_UNDONE)
    return ((f"Undone: {_titles(facts, undone)}.",),) if undone else ()


def _rolled_back(facts: Facts) -> Outcome:
    left = [n for n in facts.in_status(*DONE_STEP_STATUSES) if facts.steps[n].status != StepStatus.SKIPPED]
    notes = _undone(facts) or (("There was nothing to undo.",),)
    if left:
        notes += ((f"Left as it is: {_titles(facts, left)}.",),)
    return Outcome(_by_whom(facts, "run.rollback_started", "Rolled back"), notes)


def _rollback_failed(facts: Facts) -> Outcome:
    failed = facts.in_status(StepStatus.COMPENSATION_FAILED)
    name = failed[0] if failed else facts.run.current_step
    error = facts.steps[name].error if name in facts.steps else None
    message = _message(error or facts.run.error) or "no reason was recorded."
    still = facts.in_status(StepStatus.SUCCEEDED, StepStatus.FELL_BACK)
    notes = _undone(facts) or (("Nothing is undone yet.",),)
    if still:
        notes += ((f"Still in force: {_titles(facts, still)}.",),)
    return Outcome((f"Rollback stopped: {facts.title(name)} could not be undone: {message}",), notes)


def _cancelled(facts: Facts) -> Outcome:
    return Outcome(_by_whom(facts, "run.cancelled", "Cancelled"), _kept(facts))


_ASKED = {"run.paused": "run.pause_requested", "run.cancelled": "run.cancel_requested"}


def _by_whom(facts: Facts, kind: str, verb: str) -> Sentence:
    """Return "Paused by Ana at 10:02: reason."; while a worker had the run, who asked stands in an earlier event."""
    event = facts.last.get(kind)
    if event is None:
        return (f"{verb}.",)
    asked = event if event.data.get("actor") else facts.last.get(_ASKED.get(kind, ""), event)
    who = f" by {asked.data['actor']}" if asked.data.get("actor") else ""
    why = f": {_stopped(asked.data['reason'])}" if asked.data.get("reason") else "."
    return (f"{verb}{who} at ", event.at, why)


def _late(facts: Facts) -> tuple[Sentence, ...]:
    run = facts.run
    if not (run.due_at and run.ended_at and run.ended_at > run.due_at):
        return ()
    return (("Late: promised within ", run.due_at - run.created_at, "."),)


def _length(facts: Facts) -> timedelta:
    run = facts.run
    return (run.ended_at or facts.now) - (run.started_at or run.created_at)


def _of_tries(facts: Facts, name: str) -> str:
    retry = facts.declared(name).get("retry")
    return f" of {retry['attempts']}" if retry else ""


def _titles(facts: Facts, names: Sequence[str]) -> str:
    titles = [facts.title(name) for name in names]
    if len(titles) > 4:
        return f"{', '.join(titles[:3])} and {len(titles) - 3} more steps"
    return " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def _message(error: Json | None) -> str:
    return _stopped(str(error.get("message") or error.get("type") or "")) if error else ""


def _stopped(text: str) -> str:
    """Return ``text`` with a full stop at its end."""
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


_OUTCOMES: Mapping[RunStatus, Callable[[Facts], Outcome]] = {
    RunStatus.SCHEDULED: _scheduled,
    RunStatus.QUEUED: _queued,
    RunStatus.RUNNING: _running,
    RunStatus.WAITING: _waiting,
    RunStatus.PAUSED: _paused,
    RunStatus.SUCCEEDED: _succeeded,
    RunStatus.DEGRADED: _degraded,
    RunStatus.FAILED: _failed,
    RunStatus.ROLLING_BACK: _rolling_back,
    RunStatus.ROLLED_BACK: _rolled_back,
    RunStatus.ROLLBACK_FAILED: _rollback_failed,
    RunStatus.CANCELLED: _cancelled,
}
