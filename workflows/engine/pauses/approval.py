"""Asking a person: the question is written with the checkpoint of the wait, and the answer settles the step.

The answer comes through a service, which settles the step itself; what is left to the engine is to ask, and
to end the wait when nobody answered in time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from portal.core.clock import now
from portal.core.durations import duration_words
from portal.core.events import ApprovalAsked, publish
from workflows.definition.step import PausingStep
from workflows.definition.terms import Approval, ApprovalTerms, Question
from workflows.engine.pauses.verdicts import Ended, Pending, Settled
from workflows.engine.state import StepStatus, WaitingReason
from workflows.errors import ApprovalExpired, InvalidData, Rejected
from workflows.models import ApprovalRequest

if TYPE_CHECKING:
    from workflows.engine.session import Session

_Status = ApprovalRequest.Status
_MAX_TEXT = 300
_MAX_FACTS = 12


def approval(session: Session, step: PausingStep[Any]) -> Settled | Pending | Ended:
    """Ask, or wait on, or end the wait because its time is over.

    :raises InvalidData: if the author's function gives neither a text nor a ``Question``.
    :raises ApprovalExpired: if nobody answered in time and that fails the step.
    """
    assert isinstance(step.terms, ApprovalTerms)  # noqa: S101 - WorkflowDefinition.approval makes no other
    request = _open(session, step)
    if request is None or session.checkpoint_of(step).status is not StepStatus.WAITING:
        request = _ask(session, step, step.terms)
    elif request.expires_at and request.expires_at <= now():
        return _expire(session, step.terms, request)
    left = (request.expires_at - now()).total_seconds() if request.expires_at else None
    told: dict[str, Any] = {"question": request.question}
    if request.expires_at:
        told["until"] = request.expires_at.isoformat()
    return Pending(WaitingReason.APPROVAL, _by_whom(session, step.terms), wake_in=left, told=told)


def _open(session: Session, step: PausingStep[Any]) -> ApprovalRequest | None:
    return ApprovalRequest.objects.filter(run_id=session.claimed.run_id, step=step.name, status=_Status.OPEN).first()


def _by_whom(session: Session, terms: ApprovalTerms) -> str:
    owner = session.definition.owner
    return f"approval by {' or '.join(terms.roles)} of {owner}" if terms.roles else f"approval by {owner}"


def _ask(session: Session, step: PausingStep[Any], terms: ApprovalTerms) -> ApprovalRequest:
    """Return a new request, to be written with the checkpoint; one that was left open before is withdrawn."""
    given = session.call_unguarded(step, step.body, attempt=1)
    question = Question(given) if isinstance(given, str) else given
    if not isinstance(question, Question) or not question.text.strip():
        raise InvalidData(f"{step.name} must ask with a text or a Question, not with {given!r}")
    at = now()
    request = ApprovalRequest(
        run_id=session.claimed.run_id,
        step=step.name,
        question=question.text.strip()[:_MAX_TEXT],
        facts=[[str(name)[:80], str(value)[:_MAX_TEXT]] for name, value in list(question.facts.items())[:_MAX_FACTS]],
        permission=terms.permission.value,
        roles=[role.value for role in terms.roles],
        four_eyes=terms.four_eyes,
        asked_at=at,
        remind_at=_later(at, terms.remind),
        expires_at=_later(at, terms.expires),
    )
    news = ApprovalAsked(
        run_id=str(session.claimed.run_id),
        workflow=session.claimed.workflow,
        step=step.name,
        question=request.question,
        expires_at=request.expires_at,
    )

    def write() -> None:
        earlier = ApprovalRequest.objects.filter(run_id=request.run_id, step=request.step, status=_Status.OPEN)
        earlier.update(status=_Status.WITHDRAWN)
        request.save(force_insert=True)
        publish(news)

    session.write_along(write)
    return request


def _later(at: datetime, length: timedelta | None) -> datetime | None:
    return at + length if length else None


def _expire(session: Session, terms: ApprovalTerms, request: ApprovalRequest) -> Settled | Ended:
    assert terms.expires is not None  # noqa: S101 - the request has an end
    at = now()
    reason = f"Nobody answered within {duration_words(terms.expires)}."

    def write() -> None:
        ApprovalRequest.objects.filter(pk=request.pk).update(status=_Status.EXPIRED, answered_at=at, reason=reason)

    session.write_along(write)
    if terms.on_expiry == "fail":
        raise ApprovalExpired(reason, question=request.question)
    if terms.on_reject == "cancel":
        return Ended(Rejected(f"{reason} That counts as a no."))
    answer = Approval(approved=False, by="", reason=reason, at=at)
    return Settled(answer.model_dump(mode="json"), told={"reason": reason, "approved": False})
