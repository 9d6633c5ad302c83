"""What the list of dead letters shows: how much is stuck and whether it grows, by subscriber and by cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Greatest
from django.utils.http import urlencode

from portal.core import clock
from portal.core.access import authorise, within_reach
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.paging import CappedCount, KeysetPage, capped_count, keyset_page
from portal.core.permissions import Permission
from workflows.deadletters.filters import with_cause
from workflows.deadletters.words import consumer_title
from workflows.models import DeadLetter, InboxMessage
from workflows.money import Money, summed
from workflows.presentation import State, StateName, short_id
from workflows.queries.concerns import error_text

Row = dict[str, Any]
PAGE_SIZE = 50
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_OPEN, _DISCARDED = DeadLetter.Status.OPEN, DeadLetter.Status.DISCARDED


@dataclass(frozen=True, slots=True)
class Cause:
    """Open letters of one subscriber that died of the same. ``sample`` is the error of one of them."""

    consumer: str
    title: str
    reason: DeadLetter.Reason
    cause: str
    sample: str
    letters: int
    events: tuple[str, ...]
    oldest_at: datetime
    latest_at: datetime
    money: tuple[Money, ...]

    @property
    def query(self) -> str:
        """The query string of the list with these letters alone."""
        return urlencode({"consumer": self.consumer, "reason": self.reason.value, "cause": self.cause})


@dataclass(frozen=True, slots=True)
class Queue:
    """What one subscriber has left lying: how many now, how many an hour and a day ago."""

    consumer: str
    title: str
    depth: int
    hour_ago: int
    day_ago: int
    oldest_at: datetime
    money: tuple[Money, ...]
    main_cause: str
    """The error that most of them died of."""

    @property
    def in_an_hour(self) -> int:
        """By how many it has grown in the last hour; below zero: shrunk."""
        return self.depth - self.hour_ago

    @property
    def in_a_day(self) -> int:
        """By how many it has grown in the last day; below zero: shrunk."""
        return self.depth - self.day_ago


@dataclass(frozen=True, slots=True)
class Overview:
    """All that is open, the largest first, and since when nothing is (None: something is, or nothing ever was)."""

    queues: list[Queue]
    causes: list[Cause]
    empty_since: datetime | None

    @property
    def depth(self) -> int:
        """How many letters are open."""
        return sum(queue.depth for queue in self.queues)


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A dead letter in a list."""

    letter: DeadLetter

    @property
    def state(self) -> State:
        """How it stands, in the vocabulary of the pages."""
        return letter_state(self.letter)

    @property
    def short_id(self) -> str:
        """The end of its id, where ids of one time differ."""
        return short_id(self.letter.pk)

    @property
    def title(self) -> str:
        """Who should have acted."""
        return consumer_title(self.letter)

    @property
    def why(self) -> str:
        """Its latest error in a line."""
        return error_line(self.letter)


@dataclass(frozen=True, slots=True)
class LetterList:
    """One page of the list, newest first."""

    rows: list[LetterRow]
    total: CappedCount
    newer: str
    older: str

    @property
    def words(self) -> str:
        """How many match."""
        return f"{self.total} dead letter{'' if self.total.number == 1 else 's'}"


def visible_letters(actor: Actor) -> QuerySet[DeadLetter]:
    """Return the letters that ``actor`` may see, each with its event, its subscriber's workflow and inbox row."""
    within = within_reach(actor, Permission.VIEW_RUN)
    return DeadLetter.objects.filter(within).select_related("message", "workflow__team", "inbox")


def access_dead_letter(actor: Actor, letter_id: UUID, *, permission: Permission = Permission.VIEW_RUN) -> DeadLetter:
    """Return a letter with its event, workflow, team and inbox row, if ``actor`` holds ``permission`` on it.

    :raises NotFound: if there is none, or none that the actor may see.
    :raises Forbidden: if the actor may see it but not do that.
    """
    letter = (
        DeadLetter.objects.select_related("message__workflow", "workflow__team", "inbox").filter(pk=letter_id).first()
    )
    if letter is None:
        raise NotFound("There is no such dead letter, or none that you may see.")
    authorise(actor, permission, letter)
    return letter


def letter_list(letters: QuerySet[DeadLetter], *, before: str = "", after: str = "") -> LetterList:
    """Return one page of ``letters``. Two queries."""
    page: KeysetPage[DeadLetter] = keyset_page(letters, size=PAGE_SIZE, before=before, after=after)
    return LetterList([LetterRow(letter) for letter in page.rows], capped_count(letters), page.newer, page.older)


def overview(actor: Actor) -> Overview:
    """Return what is open for ``actor``, by subscriber and by cause. Two queries."""
    within = within_reach(actor, Permission.VIEW_RUN)
    rows = _rows(within)
    queues = _queues(rows)
    return Overview(queues, _causes(rows), None if queues else _empty_since(within))


def queues(actor: Actor) -> list[Queue]:
    """Return what each subscriber has left lying, the fastest growing first. One query."""
    return _queues(_rows(within_reach(actor, Permission.VIEW_RUN)))


def letter_state(letter: DeadLetter) -> State:
    """Return the state that a letter is shown in. A replayed one is as far as its inbox row is."""
    if letter.status == _OPEN:
        return State(StateName.FAILED, "Dead")
    if letter.status == _DISCARDED:
        return State(StateName.PAUSED, "Discarded")
    if letter.inbox.status == InboxMessage.Status.PENDING:
        return State(StateName.RUNNING, "Being replayed")
    return State(StateName.OK, "Replayed")


def error_line(letter: DeadLetter) -> str:
    """Return the latest error in a line."""
    error = letter.error
    return ": ".join(filter(None, (str(error.get("type", "")), str(error.get("message", "")))))


def _rows(within: Q) -> list[Row]:
    """Return how many letters of each cause are open, and were an hour and a day ago: those that left count there."""
    at = clock.now()

    def was_open(ago: timedelta) -> Q:
        return Q(died_at__lte=at - ago) & (Q(status=_OPEN) | Q(left_at__gt=at - ago))

    is_open = Q(status=_OPEN)
    grouped = (
        with_cause(DeadLetter.objects.filter(within))
        .annotate(left_at=Coalesce("discarded_at", "last_replayed_at"))
        .filter(is_open | Q(left_at__gt=at - DAY))
        .order_by()
        .values("consumer", "workflow__title", "reason", "cause", "message__name", "message__currency")
        .annotate(
            letters=Count("pk", filter=is_open),
            hour_ago=Count("pk", filter=was_open(HOUR)),
            day_ago=Count("pk", filter=was_open(DAY)),
            oldest_at=Min("died_at", filter=is_open),
            latest_at=Max("died_at", filter=is_open),
            sum=Sum("message__amount", filter=is_open),
            sample=Max(error_text("message")),
        )
    )
    return list(grouped)


def _causes(rows: Iterable[Row]) -> list[Cause]:
    """Return the open letters by cause. Rows of one cause differ in event and currency."""
    alike = _gathered((row for row in rows if row["letters"]), "consumer", "reason", "cause")
    return sorted(map(_cause, alike), key=lambda cause: -cause.letters)


def _cause(parts: Sequence[Row]) -> Cause:
    first = parts[0]
    return Cause(
        consumer=first["consumer"],
        title=first["workflow__title"] or first["consumer"],
        reason=DeadLetter.Reason(first["reason"]),
        cause=first["cause"],
        sample=max(part["sample"] for part in parts),
        letters=sum(part["letters"] for part in parts),
        events=tuple(sorted({part["message__name"] for part in parts})),
        oldest_at=min(part["oldest_at"] for part in parts),
        latest_at=max(part["latest_at"] for part in parts),
        money=_money(parts),
    )


def _queues(rows: Iterable[Row]) -> list[Queue]:
    found = [_queue(parts) for parts in _gathered(rows, "consumer") if any(part["letters"] for part in parts)]
    return sorted(found, key=lambda queue: (-queue.in_an_hour, -queue.depth))


def _queue(parts: Sequence[Row]) -> Queue:
    main = _causes(parts)[0]
    return Queue(
        consumer=main.consumer,
        title=main.title,
        depth=sum(part["letters"] for part in parts),
        hour_ago=sum(part["hour_ago"] for part in parts),
        day_ago=sum(part["day_ago"] for part in parts),
        oldest_at=min(part["oldest_at"] for part in parts if part["letters"]),
        money=_money(parts),
        main_cause=f"{main.reason.label}: {main.sample}",
    )


def _gathered(rows: Iterable[Row], *fields: str) -> Iterable[list[Row]]:
    """Return the rows that are equal in these fields, together."""
    found: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[field] for field in fields)].append(row)
    return found.values()


def _money(parts: Iterable[Row]) -> tuple[Money, ...]:
    return summed((part["sum"], part["message__currency"]) for part in parts)


def _empty_since(within: Q) -> datetime | None:
    """Return when the last letter was replayed or discarded."""
    left = DeadLetter.objects.filter(within).aggregate(at=Max(Greatest("discarded_at", "last_replayed_at")))
    at: datetime | None = left["at"]
    return at
