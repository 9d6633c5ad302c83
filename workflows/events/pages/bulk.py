"""What was missed, in bulk: send again and give up. The services are those of a single one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.errors import InvalidTransition
from portal.core.permissions import Permission
from workflows.bulk.kinds import BulkCommand, BulkKind, Candidate, NotNeeded, Outcome, Verdict
from workflows.events.pages.gaps import MissedFilter, filtered_missed, give_up_missed, send_missed
from workflows.events.pages.words import GIVE_UP_REASONS, SEND_REASONS, consumer_title
from workflows.models import InboxMessage
from workflows.presentation import short_id

CANARY = (5,)
_Status = InboxMessage.Status


def _candidates(permission: Permission, does: str, actor: Actor, ids: Sequence[UUID]) -> Iterator[Candidate]:
    for row in _rows(ids):
        why_not = _why_not(permission, actor, row)
        yield Candidate(
            id=row.pk,
            label=f"{row.message.name} {short_id(row.message_id)}",
            state=row.get_status_display(),
            why_not=why_not,
            does=() if why_not else (does.format(event=row.message.name, who=consumer_title(row)),),
            amount=row.message.amount,
            currency=row.message.currency,
        )


def _why_not(permission: Permission, actor: Actor, row: InboxMessage) -> str:
    if not may(actor, permission, row) or not may(actor, Permission.START_BULK_OPERATION, row):
        return f"You lack the right to do this for {consumer_title(row)}"
    return "" if row.status == _Status.PENDING else f"It is {row.get_status_display().lower()} meanwhile"


def _rows(ids: Sequence[UUID]) -> QuerySet[InboxMessage]:
    return InboxMessage.objects.filter(pk__in=ids).select_related("message", "workflow__team").order_by("pk")


def _after_sending(ids: Sequence[UUID]) -> dict[UUID, Verdict]:
    return {row.pk: _verdict(row) for row in _rows(ids)}


def _verdict(row: InboxMessage) -> Verdict:
    match _Status(row.status):
        case _Status.HANDLED:
            return Verdict(Outcome.GOOD, "Acted on")
        case _Status.DEAD:
            return Verdict(Outcome.BAD, f"Became a dead letter: {(row.error or {}).get('message', '')}")
        case _Status.DISCARDED:
            return Verdict(Outcome.GOOD, "Given up by somebody meanwhile")
        case _ if row.kind == InboxMessage.Kind.WAIT and row.next_attempt_at is None:
            return Verdict(Outcome.GOOD, "No run waits for its key; it stays missing")
        case _:
            return Verdict(Outcome.OPEN, "Sent; its subscriber has not answered yet")


def _after_giving_up(ids: Sequence[UUID]) -> dict[UUID, Verdict]:
    return {row.pk: Verdict(Outcome.GOOD, row.get_status_display()) for row in _rows(ids)}


def _apply(service: Callable[..., InboxMessage], actor: Actor, id: UUID, reason: str) -> None:
    try:
        service(actor=actor, inbox_id=id, reason=reason)
    except InvalidTransition as exc:
        raise NotNeeded(exc.message) from exc


def _find(actor: Actor, query: QueryDict) -> QuerySet[InboxMessage]:
    return filtered_missed(actor, query)


def _describe(actor: Actor, query: QueryDict) -> list[tuple[str, str]]:
    return MissedFilter(query, request=actor).described()


SEND = BulkCommand(
    name="send",
    label="Send again",
    done="sent again",
    icon="repeat",
    permission=Permission.REPLAY_DEAD_LETTER,
    preview=partial(_candidates, Permission.REPLAY_DEAD_LETTER, "“{event}” is handed to “{who}” again"),
    apply=partial(_apply, send_missed),
    settled=_after_sending,
    kept=("What was acted on already is not acted on again.",),
    reasons=SEND_REASONS,
    ladder=CANARY,
)
GIVE_UP = BulkCommand(
    name="give-up",
    label="Give up",
    done="given up",
    icon="trash-2",
    permission=Permission.DISCARD_DEAD_LETTER,
    preview=partial(_candidates, Permission.DISCARD_DEAD_LETTER, "“{who}” never acts on “{event}”"),
    apply=partial(_apply, give_up_missed),
    settled=_after_giving_up,
    kept=("The events themselves stay.",),
    reasons=GIVE_UP_REASONS,
    is_danger=True,
)
MISSED_EVENTS = BulkKind(
    name="missed_event",
    one="missed event",
    many="missed events",
    view_permission=Permission.VIEW_RUN,
    list_url_name="completeness",
    find=_find,
    describe=_describe,
    url_of=lambda id: f"{reverse('completeness')}?q={id}",
    commands={command.name: command for command in (SEND, GIVE_UP)},
)
