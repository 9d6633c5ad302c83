"""The items of a fan-out as pages and the API show them: how far they are, which failed and why, one in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.db.models.fields.json import KT

from portal.core import clock
from portal.core.access import may
from portal.core.actor import Actor
from portal.core.errors import NotFound
from portal.core.permissions import Permission
from workflows.engine.state import ItemStatus
from workflows.gaps import worth_words
from workflows.models import Run, StepItem
from workflows.presentation import State, StateName, item_state
from workflows.queries.access import access_run
from workflows.queries.run_page import declared_steps
from workflows.queries.run_parts import ErrorView, error_view
from workflows.redaction import Redaction, redaction_of

Json = Mapping[str, Any]
PAGE_SIZE = 50
GROUPS_SHOWN = 5
RATE_OVER = timedelta(seconds=15)
SLOWEST_RATE = 0.01

_OPEN = (ItemStatus.PENDING, ItemStatus.RUNNING)

# What the list can be narrowed to, in the order of its switch.
VIEWS: dict[str, tuple[str, tuple[ItemStatus, ...]]] = {
    "": ("All", tuple(ItemStatus)),
    "failed": ("Failed", (ItemStatus.FAILED,)),
    "open": ("To do", _OPEN),
    "done": ("Done", (ItemStatus.SUCCEEDED, ItemStatus.COMPENSATED)),
    "skipped": ("Skipped", (ItemStatus.SKIPPED,)),
}


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Items that failed alike. ``code`` and ``type`` make them alike; ``example`` is one of the messages."""

    type: str
    example: str
    count: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the items of one step are. ``rate``: items a second lately, or on the whole once none is left."""

    counts: Mapping[ItemStatus, int]
    rate: float
    worth: Mapping[str, Decimal]
    groups: Sequence[FailureGroup]
    tolerated: int

    @property
    def total(self) -> int:
        """How many items there are."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """How many have failed for good."""
        return self.counts[ItemStatus.FAILED]

    @property
    def running(self) -> int:
        """How many a worker has in hand."""
        return self.counts[ItemStatus.RUNNING]

    @property
    def done(self) -> int:
        """How many are done."""
        return self.counts[ItemStatus.SUCCEEDED]

    @property
    def skipped(self) -> int:
        """How many have nothing to do, because a step before this one failed at them."""
        return self.counts[ItemStatus.SKIPPED]

    @property
    def left(self) -> int:
        """How many are still to be done."""
        return self.counts[ItemStatus.PENDING] + self.running

    @property
    def settled(self) -> int:
        """How many need nothing more."""
        return self.total - self.left

    @property
    def worth_words(self) -> str:
        """What the failed items are worth, by currency; "" if that is not known."""
        return worth_words(self.worth)

    @property
    def rate_words(self) -> str:
        """The rate: "310 a second", "12 a minute"; "" if nothing was done lately."""
        if self.rate < SLOWEST_RATE:
            return ""
        return f"{self.rate:,.0f} a second" if self.rate >= 1 else f"{self.rate * 60:.0f} a minute"

    @property
    def time_left(self) -> timedelta | None:
        """How long the rest will take at this rate; None if nothing is left, or that cannot be told."""
        if not self.left or self.rate < SLOWEST_RATE:
            return None
        return timedelta(seconds=round(self.left / self.rate))

    @property
    def state(self) -> StateName:
        """The colour of the bar."""
        if self.left:
            return StateName.RUNNING
        if not self.failed:
            return StateName.OK
        return StateName.DEGRADED if self.failed <= self.tolerated else StateName.FAILED


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item as one viewer may see it."""

    item: StepItem
    state: State
    message: str

    @property
    def name(self) -> str:
        """What it is called; its number where it has no name."""
        return self.item.name or f"Item {self.item.index + 1}"

    @property
    def number(self) -> int:
        """Its place in the list, counted from 1."""
        return self.item.index + 1

    @property
    def took(self) -> timedelta | None:
        """How long the latest try took."""
        if self.item.started_at is None or self.item.ended_at is None:
            return None
        return self.item.ended_at - self.item.started_at


@dataclass(frozen=True, slots=True)
class ItemInFull:
    """One item with its values and its failed tries, the latest first."""

    row: ItemRow
    input: Any
    output: Any
    error: ErrorView | None
    tries: Sequence[Json]


@dataclass(frozen=True, slots=True)
class ItemsShown:
    """The items of one step, and what of their values their reader may see."""

    run: Run
    declared: Json
    items: QuerySet[StepItem]
    redaction: Redaction

    @property
    def sensitive(self) -> Sequence[str]:
        """The fields of an item that are hidden from most people."""
        fields: Sequence[str] = self.declared.get("each", {}).get("sensitive", ())
        return fields


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of the items of one step. ``before`` and ``after``: the cursors of the pages beside it, "" for none."""

    run: Run
    step: Json
    progress: Progress
    view: str
    rows: Sequence[ItemRow]
    chosen: ItemInFull | None
    before: str
    after: str
    now: datetime

    @property
    def views(self) -> list[tuple[str, str]]:
        """The switch: what the list can be narrowed to."""
        return [(key, words) for key, (words, _) in VIEWS.items()]


def progress_of(run: Run, declared: Json) -> Progress:
    """Return how far the items of a step are. Two queries, three once some have failed."""
    items = StepItem.objects.filter(run=run, step=declared["name"])
    now = clock.now()
    found = items.order_by().aggregate(
        **{status.value: Count("index", filter=Q(status=status)) for status in ItemStatus},
        lately=Count("index", filter=Q(ended_at__gte=now - RATE_OVER) & ~Q(status__in=_OPEN)),
        began=Min("started_at"),
        ended=Max("ended_at"),
    )
    counts = {status: found[status.value] for status in ItemStatus}
    failed = items.filter(status=ItemStatus.FAILED).order_by()
    has_failed = bool(counts[ItemStatus.FAILED])
    return Progress(
        counts=counts,
        rate=_rate(found, counts, now),
        worth=dict(failed.exclude(amount=None).values_list("currency").annotate(Sum("amount"))) if has_failed else {},
        groups=_groups(failed) if has_failed else [],
        tolerated=_tolerated(declared, sum(counts.values())),
    )


def _rate(found: Json, counts: Mapping[ItemStatus, int], now: datetime) -> float:
    """Return items a second: while there are some to do those of the last seconds, else those of the whole time."""
    if found["began"] is None or found["ended"] is None:
        return 0.0
    if counts[ItemStatus.PENDING] or counts[ItemStatus.RUNNING]:
        seconds = min(RATE_OVER, now - found["began"]).total_seconds()
        return float(found["lately"] / seconds) if seconds > 0 else 0.0
    seconds = (found["ended"] - found["began"]).total_seconds()
    return sum(counts.values()) / seconds if seconds > 0 else 0.0


def _groups(failed: QuerySet[StepItem]) -> list[FailureGroup]:
    found = (
        failed.annotate(type=KT("error__type"), code=KT("error__code"), message=KT("error__message"))
        .values("type", "code")
        .annotate(count=Count("index"), example=Min("message"))
        .order_by("-count")[:GROUPS_SHOWN]
    )
    return [FailureGroup(line["type"], line["example"] or line["type"], line["count"]) for line in found]


def _tolerated(declared: Json, total: int) -> int:
    tolerate = declared["each"]["tolerate"]
    return tolerate if isinstance(tolerate, int) else int(tolerate * total)


def items_of(actor: Actor, run_id: UUID, step: str) -> ItemsShown:
    """Return the items of a step of a run that ``actor`` may see; of a step that is no fan-out there are none.

    :raises NotFound: if there is no such run, or its workflow has no such step.
    """
    run = access_run(actor, run_id)
    definition = declared_steps(run)
    declared = next((each for each in definition["steps"] if each["name"] == step), None)
    if declared is None:
        raise NotFound("This workflow has no such step.")
    return ItemsShown(
        run=run,
        declared=declared,
        items=StepItem.objects.filter(run=run, step=step),
        redaction=redaction_of(definition, sees_payload=may(actor, Permission.VIEW_PAYLOAD, run)),
    )


def item_page(
    actor: Actor, run_id: UUID, step: str, *, view: str = "", before: str = "", after: str = "", chosen: str = ""
) -> ItemPage:
    """Return one page of the items of a step, in the order of the list.

    :raises NotFound: if there is no such run, or its workflow has no such fan-out.
    """
    shown = items_of(actor, run_id, step)
    if "each" not in shown.declared:
        raise NotFound("This step is done once, not for each item of a list.")
    view = view if view in VIEWS else ""
    rows, is_more = _rows(shown.items.filter(status__in=VIEWS[view][1]), before=_number(before), after=_number(after))
    has_before = is_more if before else bool(after)
    has_after = bool(before) or is_more
    return ItemPage(
        run=shown.run,
        step=shown.declared,
        progress=progress_of(shown.run, shown.declared),
        view=view,
        rows=[_row(item) for item in rows],
        chosen=_in_full(shown, _number(chosen)) if chosen else None,
        before=str(rows[0].index) if rows and has_before else "",
        after=str(rows[-1].index) if rows and has_after else "",
        now=clock.now(),
    )


def _rows(items: QuerySet[StepItem], *, before: int | None, after: int | None) -> tuple[list[StepItem], bool]:
    items = items.defer("input", "output", "tries")
    if before is not None:
        found = list(items.filter(index__lt=before).order_by("-index")[: PAGE_SIZE + 1])
        return found[:PAGE_SIZE][::-1], len(found) > PAGE_SIZE
    if after is not None:
        items = items.filter(index__gt=after)
    found = list(items.order_by("index")[: PAGE_SIZE + 1])
    return found[:PAGE_SIZE], len(found) > PAGE_SIZE


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _row(item: StepItem) -> ItemRow:
    is_settled = item.status in {ItemStatus.SUCCEEDED, ItemStatus.COMPENSATED}
    message = "" if is_settled else str((item.error or {}).get("message", ""))
    return ItemRow(item, item_state(ItemStatus(item.status), is_again=item.attempts > 0), message)


def _in_full(shown: ItemsShown, index: int | None) -> ItemInFull | None:
    item = shown.items.filter(index=index).first() if index is not None else None
    if item is None:
        return None
    return ItemInFull(
        row=_row(item),
        input=shown.redaction.hide_from(item.input, shown.sensitive),
        output=shown.redaction.step_output(item.step, item.output),
        error=error_view(item.error, sees_payload=shown.redaction.sees_payload) if item.error else None,
        tries=[_try(one) for one in reversed(item.tries)],
    )


def _try(line: Json) -> dict[str, Any]:
    """Return a failed try with its times as moments."""
    times = {
        name: datetime.fromisoformat(line[name]) if line.get(name) else None for name in ("started_at", "ended_at")
    }
    return {**line, **times, "outcome": line["outcome"].replace("_", " ")}
