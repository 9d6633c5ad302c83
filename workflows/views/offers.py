"""Which commands a run's page offers, where, and what is said of those that it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.urls import reverse

from workflows.engine.state import RunStatus, StepStatus
from workflows.models import Run
from workflows.pause_words import kind_of
from workflows.queries.run_page import RunPage
from workflows.queries.run_parts import Drawer, StepView
from workflows.services import AvailableCommand

_ICONS = {
    "approve": "check",
    "reject": "x",
    "resume": "play",
    "decide": "circle-help",
    "retry": "rotate-ccw",
    "skip": "skip-forward",
    "pause": "pause",
    "cancel": "circle-stop",
    "rollback": "undo-2",
}
_OF_A_STEP = frozenset({"retry", "skip", "decide"})
_ANSWERS = ("approve", "reject")
_FIRST_CHOICE = ("decide", "resume")


@dataclass(frozen=True, slots=True)
class Offer:
    """A command as a button, or as a button that says why it is not for this person."""

    command: AvailableCommand
    url: str
    owner: str
    label: str
    is_primary: bool = False

    @property
    def icon(self) -> str:
        """The name of its icon."""
        return _ICONS[self.command.name]

    @property
    def why_not(self) -> str:
        """Which right is missing, and who gives it; "" if none is."""
        if self.command.allowed:
            return ""
        return f"Needs the right to {self.command.permission.replace('_', ' ')}. Ask {self.owner} for it."


@dataclass(frozen=True, slots=True)
class Offers:
    """``run``: buttons of the header. ``step``: buttons of the open step. ``all``: every command there is.

    ``answers``: buttons beside the question that the run asks; ``why_no_answer``: why there are none.
    """

    run: Sequence[Offer]
    step: Sequence[Offer]
    all: Sequence[Offer]
    answers: Sequence[Offer]
    why_no_answer: str


def offers(commands: Iterable[AvailableCommand], page: RunPage, drawer: Drawer | None) -> Offers:
    """Sort the commands to the places where they are offered. What the run's state forbids is only listed."""
    by_name = {command.name: command for command in commands}
    possible = [command for command in by_name.values() if not command.unmet]
    first = next((name for name in _FIRST_CHOICE if name in {c.name for c in possible}), "")
    if first == "resume" and _is_pausing(page):  # a resume would only go on waiting
        first = ""
    uncertain = next((s.name for s in page.steps if s.status == StepStatus.UNCERTAIN), "")
    header = [c for c in possible if c.name not in {*_OF_A_STEP, *_ANSWERS} or c.name == "decide"]
    asks = any(kind_of(step.declared) == "approval" for step in page.steps)
    shown = [c for c in by_name.values() if asks or c.name not in _ANSWERS]
    may_answer = by_name["approve"].is_possible
    return Offers(
        run=[_offer(c, page.run, step=uncertain, is_primary=c.name == first) for c in header],
        step=_of_step(by_name, page.run, drawer.step) if drawer else [],
        all=[_offer(c, page.run, step=uncertain or page.run.current_step) for c in shown],
        answers=[
            _offer(by_name[name], page.run, step="", is_primary=name == "approve") for name in _ANSWERS if may_answer
        ],
        why_no_answer=_why_no_answer(by_name["approve"], page.run),
    )


def _is_pausing(page: RunPage) -> bool:
    here = next((step for step in page.steps if step.name == page.run.current_step), None)
    return page.run.status == RunStatus.WAITING and here is not None and bool(kind_of(here.declared))


def _why_no_answer(command: AvailableCommand, run: Run) -> str:
    if not command.allowed:
        return f"An answer needs the right to approve steps. Ask {run.workflow.team.name} for it."
    return "".join(f"{condition}." for condition in command.unmet)


def _of_step(commands: dict[str, AvailableCommand], run: Run, step: StepView) -> list[Offer]:
    fitting = {
        "decide": step.status == StepStatus.UNCERTAIN,
        "retry": step.row is not None and step.status != StepStatus.UNCERTAIN,
        "skip": step.name == run.current_step,
        "rollback": step.status in {StepStatus.SUCCEEDED, StepStatus.FELL_BACK},
    }
    return [
        _offer(commands[name], run, step=step.name, is_of_step=True)
        for name, fits in fitting.items()
        if fits and not commands[name].unmet
    ]


def _offer(
    command: AvailableCommand, run: Run, *, step: str, is_primary: bool = False, is_of_step: bool = False
) -> Offer:
    url, label = reverse(f"run-{command.name}", args=[run.pk]), command.label
    if command.name in _OF_A_STEP:
        url += f"?step={step}"
    elif command.name == "rollback" and is_of_step:
        url += f"?to_step={step}"
    if is_of_step:
        label = {"retry": "Retry from here", "skip": "Skip this step", "rollback": "Roll back to here"}.get(
            command.name, label
        )
    return Offer(command, url, run.workflow.team.name, label, is_primary)
