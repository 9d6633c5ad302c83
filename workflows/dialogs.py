"""What a command on a run will do, told before it is done: the words of its dialog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workflows.engine.state import DONE_STEP_STATUSES, RunStatus, StepStatus
from workflows.gaps import gaps_in
from workflows.models import Run, StepRun
from workflows.pause_words import kind_of
from workflows.presentation import short_id

Json = Mapping[str, Any]
_DONE = DONE_STEP_STATUSES - {StepStatus.SKIPPED}


@dataclass(frozen=True, slots=True)
class Subject:
    """The run that a command is about, and the step ("" for a command on the whole run)."""

    run: Run
    definition: Json
    rows: Mapping[str, StepRun]
    step: str = ""
    question: str = ""

    @property
    def declared(self) -> Json:
        """The declaration of the step."""
        return next(step for step in self.definition["steps"] if step["name"] == self.step)

    @property
    def name(self) -> str:
        """The run as dialogs name it."""
        return f"run {short_id(self.run.pk)}"

    def title(self, name: str) -> str:
        """Return a step's title; a name that is not known as it is."""
        return str(next((s["title"] for s in self.definition["steps"] if s["name"] == name), name))

    def done_steps(self) -> list[Json]:
        """Return the declarations of the steps that are done, in order."""
        rows = self.rows
        return [s for s in self.definition["steps"] if s["name"] in rows and rows[s["name"]].status in _DONE]

    def done(self) -> list[str]:
        """Return the titles of the steps that are done."""
        return [step["title"] for step in self.done_steps()]

    def followers(self) -> list[Json]:
        """Return the step's declaration and those of all steps that take from it or come after it, in order."""
        names = {self.step}
        for step in self.definition["steps"]:
            if names & {*step["needs"], *step["after"]}:
                names.add(step["name"])
        return [step for step in self.definition["steps"] if step["name"] in names]

    def takers(self) -> list[str]:
        """Return the titles of the steps that take the step's output."""
        return [step["title"] for step in self.definition["steps"] if self.step in step["needs"]]


@dataclass(frozen=True, slots=True)
class Words:
    """A dialog: ``effects`` is what will happen, ``kept`` what stays as it is."""

    title: str
    confirm: str
    effects: Sequence[str]
    kept: Sequence[str] = ()
    dismiss: str = "Cancel"
    is_danger: bool = False


def words_for(command: str, subject: Subject) -> Words:
    """Return the words of the dialog of ``command``."""
    return _WORDS[command](subject)


def listed(titles: Sequence[str]) -> str:
    """Return "A, B and C", the middle of a long list left out."""
    if len(titles) > 5:
        return f"{', '.join(titles[:4])} and {len(titles) - 4} more steps"
    return " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def _resume(subject: Subject) -> Words:
    run = subject.run
    title, confirm = f"Resume {subject.name}?", "Resume run"
    step = subject.title(run.current_step)
    if run.status == RunStatus.ROLLBACK_FAILED:
        return Words(title, confirm, [f"The rollback goes on where it stopped: {step} is undone again."])
    if run.status == RunStatus.DEGRADED:
        return _items_again(title, confirm, subject)
    declared = next((s for s in subject.definition["steps"] if s["name"] == run.current_step), None)
    if declared and kind_of(declared) and run.status in {RunStatus.WAITING, RunStatus.PAUSED}:
        effects = [f"{step} goes on waiting for the rest of its time. To go on at once, skip it instead."]
        return Words(title, confirm, effects, _not_repeated(subject))
    effects = [f"It goes on at {step}, with fresh tries." if step else "It goes on after its last checkpoint."]
    if declared and kind_of(declared) == "child":
        effects.append("The run that it started is resumed too, in your name, if it failed or was cancelled.")
    if declared and declared["effect"] == "external" and run.current_step in subject.rows:
        effects.append(_repeat(declared))
    return Words(title, confirm, effects, _not_repeated(subject))


def _items_again(title: str, confirm: str, subject: Subject) -> Words:
    lacking = [gap.step for gap in gaps_in(subject.rows.values()) if gap.what == "items"]
    steps = [subject.title(name) for name in lacking]
    again = {step["name"] for name in lacking for step in replace(subject, step=name).followers()}
    effects = [
        f"The items of {listed(steps)} that failed are done again, with fresh tries.",
        "What follows from them is done with what they give.",
    ]
    others = [step["title"] for step in subject.done_steps() if step["name"] not in again]
    kept = ["Items that are done: not done again."]
    kept += [f"{listed(others)}: done, and not done again."] if others else []
    return Words(title, confirm, effects, kept)


def _repeat(step: Json) -> str:
    target = step["calls"] or "The other side"
    if step["verifies"]:
        return f"Where it is not known whether {target} carried it out, it is asked first."
    return f"{target} gets the same operation key as before, by which it can tell a repeat."


def _not_repeated(subject: Subject) -> list[str]:
    done = subject.done()
    return [f"{listed(done)}: done, and not done again."] if done else []


def _retry(subject: Subject) -> Words:
    again = [step["title"] for step in subject.followers()]
    step = subject.title(subject.step)
    effects = [f"Run again: {listed(again)}.", "What these steps gave before is kept as earlier attempts."]
    others = [title for title in subject.done() if title not in again]
    kept = [f"{listed(others)}: done, and not done again."] if others else []
    return Words(f"Retry {subject.name} from {step}?", "Retry from this step", effects, kept)


def _skip(subject: Subject) -> Words:
    takers = subject.takers()
    effects = [f"The run goes on without {subject.title(subject.step)}."]
    if takers:
        effects.append(f"{listed(takers)} will work with the output that you give here.")
    kept = ["If it already had an effect elsewhere, that stays."] if subject.declared["effect"] == "external" else []
    kept += ["The run that it started goes on by itself."] if kind_of(subject.declared) == "child" else []
    title = f"Skip {subject.title(subject.step)} in {subject.name}?"
    return Words(title, "Skip this step", effects, kept, is_danger=True)


def _pause(subject: Subject) -> Words:
    if subject.run.status == RunStatus.RUNNING:
        effects = [f"{subject.title(subject.run.current_step)} ends first; the run stops before the next step."]
    else:
        effects = ["The run stops here and does nothing until somebody resumes it."]
    return Words(f"Pause {subject.name}?", "Pause run", effects, ["What is done stays done."])


def _cancel(subject: Subject) -> Words:
    effects = ["The run ends where it is. No further step is started."]
    if subject.run.status == RunStatus.RUNNING:
        effects.insert(0, f"{subject.title(subject.run.current_step)} is under way and ends first.")
    if any(kind_of(step) == "child" for step in subject.definition["steps"]):
        effects.append("Runs that it has started and that are still under way are cancelled with it.")
    done = subject.done()
    kept = [f"{listed(done)}: done, and not undone. To undo it, roll the run back."] if done else []
    return Words(f"Cancel {subject.name}?", "Cancel run", effects, kept, "Leave it as it is", is_danger=True)


def _roll_back(subject: Subject) -> Words:
    to = f" to {subject.title(subject.step)}" if subject.step else ""
    title = f"Roll back {subject.name}{to}?"
    return Words(title, "Roll back", [], is_danger=True)


def _decide(subject: Subject) -> Words:
    target = subject.declared["calls"] or "the other system"
    effects = [
        f"If it happened, the run goes on after it; {target} is not called again.",
        f"If it did not happen, the step is done again: {target} is called once more.",
        f"A wrong answer does it twice, or not at all. Look it up in {target} first.",
    ]
    title = f"Did {subject.title(subject.step)} happen in {subject.name}?"
    return Words(title, "Decide", effects, is_danger=True)


def _approve(subject: Subject) -> Words:
    effects = ["The run goes on at once; later steps see who approved and why."]
    return Words(f"Approve: {subject.question or subject.name}", "Approve", effects)


def _reject(subject: Subject) -> Words:
    steps = {step["name"]: step for step in subject.definition["steps"]}
    terms = steps.get(subject.run.current_step, {}).get("terms", {})
    effects, kept, done = ["The run goes on with the no, as its workflow says."], list[str](), subject.done()
    if terms.get("on_reject") == "cancel":
        effects = ["The run ends here as cancelled. A resume would ask again."]
        kept = [f"{listed(done)}: done, and not undone. To undo it, roll the run back."] if done else []
    title = f"Reject: {subject.question or subject.name}"
    return Words(title, "Reject", effects, kept, is_danger=True)


_WORDS: Mapping[str, Callable[[Subject], Words]] = {
    "approve": _approve,
    "reject": _reject,
    "resume": _resume,
    "retry": _retry,
    "skip": _skip,
    "pause": _pause,
    "cancel": _cancel,
    "rollback": _roll_back,
    "decide": _decide,
}
