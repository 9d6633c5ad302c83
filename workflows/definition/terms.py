"""What a pausing step waits for, beyond its place among the steps: an answer, another workflow, an event."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from portal.core.permissions import Permission, Role
from workflows.definition.event import WaitTerms

if TYPE_CHECKING:
    from workflows.definition.workflow import WorkflowDefinition


class Approval(BaseModel):
    """What a person answered. ``by`` is empty where nobody did and the step's ``on_expiry`` counts that as a no."""

    approved: bool
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What an approver is asked, and the facts to decide by. Everybody who may see the run can read both."""

    text: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """Who may answer, and what follows.

    :param quotes: what a question's template takes values from: (name, attribute or "").
    """

    permission: Permission
    roles: tuple[Role, ...]
    expires: timedelta | None
    remind: timedelta | None
    on_reject: Literal["cancel", "continue"]
    on_expiry: Literal["fail", "reject"]
    four_eyes: bool
    quotes: tuple[tuple[str, str], ...] = ()

    def described(self) -> dict[str, Any]:
        """Return the terms as plain JSON values."""
        return {
            "permission": self.permission.value,
            "roles": [role.value for role in self.roles],
            "expires_seconds": self.expires.total_seconds() if self.expires else None,
            "remind_seconds": self.remind.total_seconds() if self.remind else None,
            "on_reject": self.on_reject,
            "on_expiry": self.on_expiry,
            "four_eyes": self.four_eyes,
        }


@dataclass(frozen=True, slots=True)
class ChildTerms:
    """The workflow of which a run is started."""

    workflow: WorkflowDefinition[Any]

    @property
    def output_type(self) -> Any:
        """What the child's last step gives."""
        last = self.workflow.plan.order[-1]
        return last.output_type | None if last.may_lack_output and last.has_output else last.output_type

    def described(self) -> dict[str, Any]:
        """Return the terms as plain JSON values."""
        return {"workflow": self.workflow.name, "title": self.workflow.title}


Terms = ApprovalTerms | ChildTerms | WaitTerms


def quotes_of(template: str) -> tuple[tuple[str, str], ...]:
    """Return what "Pay {amount} to {share.partner}?" takes values from: ("amount", ""), ("share", "partner").

    :raises ValueError: for a template that is none.
    """
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    if not all(names):
        raise ValueError("each pair of braces needs a name in it")
    parts = [name.partition(".") for name in names]
    return tuple(dict.fromkeys((root, rest.partition(".")[0]) for root, _, rest in parts))


def filled_in(template: str, input_name: str, fields: frozenset[str]) -> Callable[..., str]:
    """Return a function that fills the template in; it takes the input and the steps that the template names."""
    roots = {root for root, _ in quotes_of(template)}
    names = sorted({input_name if root in fields else root for root in roots})

    def question(**values: Any) -> str:
        known = {name: getattr(values[input_name], name) for name in roots & fields} | values
        return string.Formatter().vformat(template, (), known)

    parameters = [Parameter(name, Parameter.KEYWORD_ONLY) for name in names]
    question.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return question
