"""How a workflow is doing, judged from counts. Pure: the same judgement for list, page and overview."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.presentation import State, StateName

CANNOT_SEE = State(StateName.BLOCKED, "Cannot see")
_WORST_FIRST = [
    StateName.FAILED,
    StateName.BLOCKED,
    StateName.DEGRADED,
    StateName.PAUSED,
    StateName.WAITING,
    StateName.RUNNING,
    StateName.OK,
]


@dataclass(frozen=True, slots=True)
class Signs:
    """What is counted of one workflow. ``ended_badly`` runs ended and nobody has repaired them since."""

    has_run: bool = True
    is_paused: bool = False
    good_last_hour: int = 0
    bad_last_hour: int = 0
    ended_badly: int = 0
    blocked: int = 0
    stuck: int = 0
    late: int = 0
    undecided: int = 0

    @property
    def troubled(self) -> int:
        """How many runs are in trouble (some twice), for ordering workflows that are in the same state."""
        return self.ended_badly + self.blocked + self.stuck + self.late + self.undecided

    @property
    def words(self) -> str:
        """What is wrong, with counts; "" if nothing is."""
        counts = {
            "to be decided": self.undecided,
            "failed": self.ended_badly,
            "stuck": self.stuck,
            "blocked": self.blocked,
            "late": self.late,
        }
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def state_of(signs: Signs, *, can_see: bool = True) -> State:
    """Return the state of a workflow.

    Failing: at least two runs ended badly within the hour, and at least as many as ended well. Degraded: some
    run of the last day is failed, blocked, stuck, late or undecided. Where no dispatcher or worker is heard,
    nothing is known to be well.
    """
    if signs.is_paused:
        return State(StateName.PAUSED, "Paused")
    if signs.bad_last_hour >= 2 and signs.bad_last_hour >= signs.good_last_hour:
        return State(StateName.FAILED, "Failing")
    if signs.troubled:
        return State(StateName.DEGRADED, "Degraded")
    if not can_see:
        return CANNOT_SEE
    return State(StateName.OK, "OK") if signs.has_run else State(StateName.WAITING, "No runs yet")


def badness(state: State) -> int:
    """Return the place of a state when the worst comes first."""
    return _WORST_FIRST.index(state.name)
