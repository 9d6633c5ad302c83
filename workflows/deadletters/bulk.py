"""Dead letters in bulk: replay and discard. The conditions and the services are those of a single letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse

from portal.core.access import may
from portal.core.actor import Actor
from portal.core.errors import InvalidTransition
from portal.core.permissions import Permission
from workflows.bulk.kinds import BulkCommand, BulkKind, Candidate, NotNeeded, Outcome, Verdict
from workflows.deadletters.conf import KEPT_FOR
from workflows.deadletters.filters import DeadLetterFilter, filtered_letters
from workflows.deadletters.forms import REASONS
from workflows.deadletters.offers import offers
from workflows.deadletters.queries import error_line, letter_state, visible_letters
from workflows.deadletters.services import discard_dead_letter, replay_dead_letter
from workflows.deadletters.words import consumer_title
from workflows.engine.state import RunStatus
from workflows.models import DeadLetter, InboxMessage, Run
from workflows.presentation import short_id

CANARY = (5,)
_FAILED = (RunStatus.FAILED, RunStatus.ROLLBACK_FAILED)


def _replayed(letter: DeadLetter) -> tuple[str, ...]:
    return (f"“{letter.message.name}” is handed to “{consumer_title(letter)}” again",)


def _discarded(letter: DeadLetter) -> tuple[str, ...]:
    return (f"“{consumer_title(letter)}” never acts on “{letter.message.name}”",)


def _candidates(
    command: str, does: Callable[[DeadLetter], tuple[str, ...]], actor: Actor, ids: Sequence[UUID]
) -> Iterator[Candidate]:
    for letter in _letters(ids):
        why_not = _why_not(command, actor, letter)
        yield Candidate(
            id=letter.pk,
            label=f"{letter.message.name} {short_id(letter.pk)}",
            state=letter_state(letter).word,
            why_not=why_not,
            does=() if why_not else does(letter),
            amount=letter.message.amount,
            currency=letter.message.currency,
        )


def _why_not(command: str, actor: Actor, letter: DeadLetter) -> str:
    offer = next(offer for offer in offers(actor, letter) if offer.name == command)
    if offer.why_not or not may(actor, Permission.START_BULK_OPERATION, letter):
        return f"You lack the right to do this with dead letters of {consumer_title(letter)}"
    return offer.hindrance.rstrip(".")


def _letters(ids: Sequence[UUID]) -> QuerySet[DeadLetter]:
    return DeadLetter.objects.filter(pk__in=ids).select_related("message", "workflow__team", "inbox").order_by("pk")


def _after_replay(ids: Sequence[UUID]) -> dict[UUID, Verdict]:
    letters = list(_letters(ids))
    led_to = [letter.inbox.run_id for letter in letters if letter.inbox.run_id]
    failed = Run.objects.filter(pk__in=led_to, status__in=_FAILED)
    errors = dict(failed.values_list("pk", "error__message"))
    return {letter.pk: _verdict(letter, errors) for letter in letters}


def _verdict(letter: DeadLetter, errors: Mapping[Any, str]) -> Verdict:
    if letter.status == DeadLetter.Status.OPEN:
        return Verdict(Outcome.BAD, f"Died again: {error_line(letter)}")
    if letter.inbox.run_id in errors:
        return Verdict(Outcome.BAD, f"Its run failed: {errors[letter.inbox.run_id]}")
    if letter.inbox.status == InboxMessage.Status.PENDING:
        return Verdict(Outcome.OPEN, "Handed over; its subscriber has not answered yet")
    return Verdict(Outcome.GOOD, letter_state(letter).word)


def _after_discard(ids: Sequence[UUID]) -> dict[UUID, Verdict]:
    return {letter.pk: Verdict(Outcome.GOOD, letter_state(letter).word) for letter in _letters(ids)}


def _apply(service: Callable[..., DeadLetter], actor: Actor, id: UUID, reason: str) -> None:
    try:
        service(actor=actor, letter_id=id, reason=reason)
    except InvalidTransition as exc:
        letter = _letters([id]).get()
        if letter.status != DeadLetter.Status.OPEN:
            raise NotNeeded(f"{letter_state(letter).word} by somebody meanwhile") from exc
        raise


def _find(actor: Actor, query: QueryDict) -> QuerySet[DeadLetter]:
    return filtered_letters(actor, visible_letters(actor), query)


def _describe(actor: Actor, query: QueryDict) -> list[tuple[str, str]]:
    return DeadLetterFilter(query, request=actor).described()


REPLAY = BulkCommand(
    name="replay",
    label="Replay",
    done="replayed",
    icon="repeat",
    permission=Permission.REPLAY_DEAD_LETTER,
    preview=partial(_candidates, "replay", _replayed),
    apply=partial(_apply, replay_dead_letter),
    settled=_after_replay,
    kept=("Other subscribers of these events do not get them again.",),
    reasons=REASONS["replay"],
    ladder=CANARY,
)
DISCARD = BulkCommand(
    name="discard",
    label="Discard",
    done="discarded",
    icon="trash-2",
    permission=Permission.DISCARD_DEAD_LETTER,
    preview=partial(_candidates, "discard", _discarded),
    apply=partial(_apply, discard_dead_letter),
    settled=_after_discard,
    kept=(f"For {KEPT_FOR.days} days each can be brought back.",),
    reasons=REASONS["discard"],
    is_danger=True,
)
DEAD_LETTERS = BulkKind(
    name="dead_letter",
    one="dead letter",
    many="dead letters",
    view_permission=Permission.VIEW_RUN,
    list_url_name="dead-letter-list",
    find=_find,
    describe=_describe,
    url_of=lambda id: reverse("dead-letter", args=[id]),
    commands={command.name: command for command in (REPLAY, DISCARD)},
)
