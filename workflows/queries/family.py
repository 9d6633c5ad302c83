"""The runs around a run: the one whose step started it, and those that its own steps have started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portal.core.access import within_reach
from portal.core.actor import Actor
from portal.core.permissions import Permission
from workflows.models import Run
from workflows.pause_words import kind_of
from workflows.presentation import State, run_state, short_id, waiting_words

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Relative:
    """A run as it is shown on the page of another. ``step``: the title of the step between them."""

    run: Run
    step: str

    @property
    def state(self) -> State:
        """The run's state."""
        return run_state(self.run)

    @property
    def short_id(self) -> str:
        """The end of the run's id."""
        return short_id(self.run.pk)

    @property
    def words(self) -> str:
        """What it waits for, or what went wrong; "" if neither."""
        return waiting_words(self.run) or str((self.run.error or {}).get("message", ""))


@dataclass(frozen=True, slots=True)
class Family:
    """``parent`` is None for a run that nobody else started, or one that the viewer may not see."""

    parent: Relative | None
    children: Sequence[Relative]

    def __bool__(self) -> bool:
        return bool(self.parent or self.children)


def family_of(actor: Actor, run: Run, definition: Mapping[str, Any]) -> Family:
    """Return those of the runs around ``run`` that ``actor`` may see. A query each, only where there may be some."""
    titles = {step["name"]: step["title"] for step in definition["steps"]}
    visible = Run.objects.filter(within_reach(actor, Permission.VIEW_RUN)).select_related("workflow")
    parent = visible.filter(pk=run.parent_id).first() if run.parent_id else None
    starts_some = any(kind_of(step) == "child" for step in definition["steps"])
    children = visible.filter(parent=run).order_by("id")[:SHOWN] if starts_some else ()
    return Family(
        parent=Relative(parent, run.parent_step) if parent else None,
        children=[Relative(child, titles.get(child.parent_step, child.parent_step)) for child in children],
    )
