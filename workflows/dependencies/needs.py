"""What a workflow's own promise needs of the services it calls. Pure: numbers in, numbers out.

A step that is tried n times at a service that answers well with probability a fails when all its tries do, so it
succeeds with 1 - (1 - a)^n; a run succeeds when all its required steps do, with the product of these. Steps that
are optional or have a fallback are not required, and one with ``each`` is judged by its own ``tolerate``.

This takes calls as independent of each other. In an outage they are not; but then the breaker opens and runs wait
instead of failing, so what is left for retries to mend are single bad answers, for which it is a fair estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """A required step that calls a service: which, and how often it is tried."""

    dependency: str
    tries: int


@dataclass(frozen=True, slots=True)
class Need:
    """What one workflow needs of one service.

    ``expected``: the share of runs that end well if every service keeps its promise; ``of_each_call``: the share of
    calls that this service must answer well for the objective, the others as promised; None if even 1 is not enough.
    """

    objective: float
    expected: float
    of_each_call: float | None

    @property
    def is_promised(self) -> bool:
        """Whether the promises together suffice."""
        return self.expected >= self.objective


def step_success(availability: float, tries: int) -> float:
    """Return the probability that one of ``tries`` independent calls is answered well: 1 - (1 - a)^n."""
    return 1 - (1 - availability) ** tries


def need_of(dependency: str, calls: Iterable[Call], promised: Mapping[str, float], objective: float) -> Need | None:
    """Return what a workflow with these required calls needs of ``dependency``; None if no such call is required.

    With k calls at it and the others' success P, each must succeed with s = (objective / P)^(1/k), so the
    service must answer a share 1 - (1 - s)^(1/n) of calls well; of several numbers of tries the smallest counts.

    :param promised: the promised availability of each service, 0 to 1.
    """
    calls = list(calls)
    mine = [call for call in calls if call.dependency == dependency]
    if not mine:
        return None
    others = math.prod(_promised(call, promised) for call in calls if call.dependency != dependency)
    share = (objective / others) ** (1 / len(mine))
    of_each_call = None if share > 1 else 1 - (1 - share) ** (1 / min(call.tries for call in mine))
    return Need(objective, math.prod(_promised(call, promised) for call in calls), of_each_call)


def _promised(call: Call, promised: Mapping[str, float]) -> float:
    return step_success(promised.get(call.dependency, 1.0), call.tries)
