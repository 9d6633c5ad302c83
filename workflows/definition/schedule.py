"""When runs of a workflow start by the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from workflows.schedules.cron import Cron, CronError

CatchUp = Literal["skip", "latest", "all"]
Overlap = Literal["skip", "queue", "allow"]
MAX_CATCH_UP = 100


@dataclass(frozen=True, slots=True)
class Schedule:
    """Start a run whenever ``cron`` says so, by the clocks of ``zone``.

    :param input: a function of the due time (in the zone) that gives the run's input; without one the input
        is made from its defaults.
    :param catch_up: what becomes of times at which no dispatcher was there: none of them is started, the
        latest is, or all are (the latest ``catch_up_at_most`` of them). All are listed as missed.
    :param overlap: what happens at a time when an earlier run of this schedule is still under way: the time
        is passed over, the run starts when the earlier one has ended, or it starts beside it.
    :param name: tells several schedules of one workflow apart.
    """

    cron: str
    zone: str = "UTC"
    input: Callable[[datetime], BaseModel] | None = None
    catch_up: CatchUp = "latest"
    overlap: Overlap = "skip"
    name: str = "main"
    catch_up_at_most: int = 24

    @property
    def times(self) -> Cron:
        """The checked expression.

        :raises CronError: if it is none.
        """
        return Cron(self.cron, self.zone)


def schedules_of(given: Schedule | Sequence[Schedule] | None) -> tuple[Schedule, ...]:
    """Return what an author gave, one or several or none, as a tuple."""
    if given is None:
        return ()
    return (given,) if isinstance(given, Schedule) else tuple(given)


def problem_of(schedules: Sequence[Schedule], input_type: type[BaseModel]) -> str:
    """Return what is wrong with a workflow's schedules in words, "" if nothing is."""
    names = [schedule.name for schedule in schedules]
    for schedule in schedules:
        if names.count(schedule.name) > 1:
            return f'two schedules are called "{schedule.name}"; tell them apart with name='
        if problem := _problem(schedule, input_type):
            return f'schedule "{schedule.name}": {problem}'
    return ""


def _problem(schedule: Schedule, input_type: type[BaseModel]) -> str:
    try:
        _ = schedule.times
    except CronError as exc:
        return str(exc)
    choices: list[tuple[str, Any, tuple[str, ...]]] = [
        ("catch_up", schedule.catch_up, ("skip", "latest", "all")),
        ("overlap", schedule.overlap, ("skip", "queue", "allow")),
    ]
    for name, value, known in choices:
        if value not in known:
            return f"{name} is one of {', '.join(map(repr, known))}, not {value!r}"
    if not schedule.name.replace("-", "").isalnum() or not schedule.name.islower() or len(schedule.name) > 40:
        return 'name must be lower-case words joined by "-"'
    if not 1 <= schedule.catch_up_at_most <= MAX_CATCH_UP:
        return f"catch_up_at_most must be 1 to {MAX_CATCH_UP}"
    if schedule.input is None:
        try:
            input_type()
        except ValidationError:
            return f"input= is missing: {input_type.__name__} has fields without a default"
    return ""
