"""The other side of the stateful tests: what was done, under which operation key, and in what mood it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from portal.core.models import Team
from tests.engine import flows
from workflows import OutcomeUnknown, PermanentError, StepContext, TransientError
from workflows.models import Run

# What these do is a row, so that it goes away with the transaction that it was done in.
IN_DATABASE = {"enter"}
NOT_REPEATABLE = {"pay", "wire"}
MOODS = ["well", "refuses", "is away", "hangs up after doing it"]


class World:
    """Knows for each operation how often it was done and not undone.

    It honours the operation key, so that a repeated call changes nothing; only a payment is made each time.
    """

    def __init__(self, steps: Collection[str], undoes: Collection[str]) -> None:
        self.done: Counter[str] = Counter()
        self.undone: set[str] = set()
        self.undoes = frozenset(undoes)
        self.mood = dict.fromkeys([*steps, *undoes], "well")

    def perform(self, name: str) -> Callable[[StepContext], Any]:
        """Return the step or compensation ``name``, as this world does it in its present mood."""

        def act(ctx: StepContext) -> flows.Note | None:
            mood = self.mood[name]
            if mood == "refuses":
                raise PermanentError("No.")
            if mood == "is away":
                raise TransientError("Nobody there.")
            if name in self.undoes:
                self.undo(ctx.operation_key)
            elif name in IN_DATABASE:
                Team.objects.create(slug=_slug(ctx.operation_key), name="An entry")
            elif name in NOT_REPEATABLE or not self.done[ctx.operation_key]:
                self.done[ctx.operation_key] += 1
            if mood == "hangs up after doing it":
                raise (OutcomeUnknown if name in NOT_REPEATABLE else TransientError)("The line went dead.")
            return None if name in self.undoes else flows.Note(text=name)

        return act

    def undo(self, key: str) -> None:
        """Undo an operation, once for each key."""
        if Team.objects.filter(slug=_slug(key.removesuffix(":undo"))).delete()[0]:
            return
        if key not in self.undone:
            self.undone.add(key)
            self.done[key.removesuffix(":undo")] -= 1

    def left_of(self, run: Run) -> set[str]:
        """Return the keys of the run's operations that were done and not undone."""
        kept = {key for key, times in self.done.items() if times and key.startswith(str(run.pk))}
        slugs = Team.objects.filter(slug__startswith=str(run.pk)).values_list("slug", flat=True)
        return kept | {f"{run.pk}:{':'.join(slug.removeprefix(str(run.pk))[1:].rsplit('-', 1))}" for slug in slugs}

    def look_up(self, ctx: StepContext) -> flows.Note | None:
        """Tell whether this operation was done."""
        return flows.Note(text="found") if self.done[ctx.operation_key] else None


def _slug(key: str) -> str:
    return key.replace(":", "-")
