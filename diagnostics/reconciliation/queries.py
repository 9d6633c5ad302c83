"""What pages and API show of checks: what each found last, what is at stake, and since when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from django.db.models import F, OuterRef, Subquery, Window
from django.db.models.functions import RowNumber

from diagnostics.models import Discrepancy, Reconciliation
from diagnostics.reconciliation import definition
from diagnostics.reconciliation.definition import Check
from portal.core.access import AccessScope, may, reach
from portal.core.actor import Actor
from portal.core.charts import StripCell
from portal.core.clock import now
from portal.core.errors import NotFound
from portal.core.models import Team
from portal.core.permissions import Permission
from workflows.money import Money
from workflows.presentation import State, StateName

HISTORY = 30
SHOWN_OPEN = 200
SHOWN_GONE = 20
GRACE = timedelta(minutes=10)  # a check that is due for so long and has not looked cannot be trusted
_S = Reconciliation.Status

CANNOT_SEE = State(StateName.BLOCKED, "Cannot see")
STATES = {
    _S.DUE: State(StateName.WAITING, "Due"),
    _S.RUNNING: State(StateName.RUNNING, "Comparing"),
    _S.AGREES: State(StateName.OK, "Agrees"),
    _S.DIFFERS: State(StateName.FAILED, "Differs"),
    _S.CANNOT_SEE: CANNOT_SEE,
}
_WORST_FIRST = (StateName.FAILED, StateName.BLOCKED, StateName.WAITING, StateName.OK)


@dataclass
class CheckView:
    """A check as it stands. ``latest``: its last result; ``under_way``: what is due or being compared now."""

    check: Check
    team: str
    moment: datetime
    results: Sequence[Reconciliation]
    under_way: Reconciliation | None

    @property
    def latest(self) -> Reconciliation | None:
        """The last result; None if there is none yet."""
        return self.results[0] if self.results else None

    @property
    def next_at(self) -> datetime:
        """When it is due again."""
        return self.check.rhythm.following(self.moment)

    @cached_property
    def is_overdue(self) -> bool:
        """Whether it should have looked by now and has not: then its last result says nothing about today."""
        looked_at = self.latest.ended_at if self.latest else None
        return looked_at is not None and looked_at < self.check.rhythm.latest(self.moment - GRACE)

    @property
    def state(self) -> State:
        """What is known: never green for what was not seen."""
        if self.is_overdue:
            return CANNOT_SEE
        return STATES[_S(self.latest.status)] if self.latest else State(StateName.WAITING, "Not compared yet")

    @property
    def sentence(self) -> str:
        """What is known, in one sentence."""
        if self.is_overdue:
            return "It has not compared since it was last due."
        if self.latest is None:
            return "It has not compared yet."
        if self.latest.status == _S.CANNOT_SEE:
            return self.latest.problem
        if self.latest.status == _S.AGREES:
            return f"{self.check.left} and {self.check.right} agree."
        return f"{_records(self.latest.mismatches)} on which {self.check.left} and {self.check.right} differ."

    @property
    def at_stake(self) -> list[Money]:
        """What the mismatches of the last result come to, by currency."""
        return _worth(self.latest) if self.latest else []

    @property
    def cells(self) -> list[StripCell]:
        """The last results as a strip, oldest first."""
        empty = [StripCell("none", "")] * (HISTORY - len(self.results))
        return empty + [_cell(result) for result in reversed(self.results)]

    @property
    def cells_words(self) -> str:
        """The strip in words."""
        good = sum(result.status == _S.AGREES for result in self.results)
        return f"{good} of the last {len(self.results)} comparisons agreed" if self.results else "No comparison yet"


@dataclass(frozen=True, slots=True)
class CheckDetail:
    """A check with its mismatches: those that are open, the most money first, and those that are gone lately."""

    view: CheckView
    open: Sequence[Discrepancy]
    open_count: int
    gone: Sequence[Discrepancy]
    may_run: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A check that does not agree, or (``problem``) could not look."""

    check: Check
    records: int
    at_stake: tuple[Money, ...]
    since: datetime | None
    problem: str


def differences(actor: Actor) -> list[Difference]:
    """Return what the checks that the actor may see found wrong when they looked last.

    One query, and one more for somebody who may not see everything.
    """
    held = reach(actor, Permission.VIEW_RUN)
    checks = {check.name: check for check in definition.declared()}
    names = checks if held.everywhere else visible_checks(actor)
    open_since = (
        Discrepancy.objects.filter(name=OuterRef("name"), gone_at=None)
        .order_by("first_seen_at")
        .values("first_seen_at")[:1]
    )
    latest = (
        Reconciliation.objects.filter(name__in=names, ended_at__isnull=False)
        .order_by("name", "-ended_at")
        .distinct("name")
        .annotate(since=Subquery(open_since))
    )
    return [
        Difference(checks[row.name], row.mismatches, tuple(_worth(row)), row.since or row.ended_at, row.problem)
        for row in (latest if names else ())
        if row.status in {_S.DIFFERS, _S.CANNOT_SEE}
    ]


def _worth(result: Reconciliation) -> list[Money]:
    return [Money(Decimal(amount), currency) for currency, amount in result.at_stake.items()]


def scope_of(check: Check) -> AccessScope:
    """Return where rights on a check are looked for: its owner team."""
    return AccessScope(team_id=Team.objects.filter(slug=check.owner).values_list("pk", flat=True).first())


def visible_checks(actor: Actor) -> dict[str, str]:
    """Return the checks that the actor may see, and the name of the team that owns each."""
    checks = definition.declared()
    teams = {team.slug: team for team in Team.objects.filter(slug__in={check.owner for check in checks})}
    held = reach(actor, Permission.VIEW_RUN)
    found = {}
    for check in checks:
        team = teams.get(check.owner)
        if held.covers(AccessScope(team_id=team.pk if team else None)):
            found[check.name] = team.name if team else check.owner
    return found


def check_list(actor: Actor) -> list[CheckView]:
    """Return every check that the actor may see, the worst first. Four queries."""
    return _views(visible_checks(actor))


def check_detail(actor: Actor, name: str) -> CheckDetail:
    """Return one check with its mismatches.

    :raises NotFound: if there is none that the actor may see.
    """
    teams = visible_checks(actor)
    if name not in teams:
        raise NotFound
    (view,) = _views({name: teams[name]})
    discrepancies = Discrepancy.objects.filter(name=name)
    still = discrepancies.filter(gone_at=None).order_by(F("amount").desc(nulls_last=True), "key")
    return CheckDetail(
        view=view,
        open=list(still[:SHOWN_OPEN]),
        open_count=still.count(),
        gone=list(discrepancies.exclude(gone_at=None).order_by("-gone_at")[:SHOWN_GONE]),
        may_run=may(actor, Permission.START_RUN, scope_of(view.check)),
    )


def _views(teams: Mapping[str, str]) -> list[CheckView]:
    ended = Reconciliation.objects.filter(name__in=teams).exclude(ended_at=None)
    place = Window(RowNumber(), partition_by="name", order_by=F("id").desc())
    results: defaultdict[str, list[Reconciliation]] = defaultdict(list)
    for row in ended.annotate(place=place).filter(place__lte=HISTORY).order_by("-id"):
        results[row.name].append(row)
    under_way = {row.name: row for row in Reconciliation.objects.filter(name__in=teams, ended_at=None)}
    moment = now()
    views = [
        CheckView(check, teams[check.name], moment, results[check.name], under_way.get(check.name))
        for check in definition.declared()
        if check.name in teams
    ]
    return sorted(views, key=lambda view: (_WORST_FIRST.index(view.state.name), view.check.title))


def _cell(result: Reconciliation) -> StripCell:
    state = STATES[_S(result.status)]
    words = f"{result.due_at:%-d %b %H:%M} UTC: {state.word.lower()}"
    if result.mismatches:
        words = f"{words}, {_records(result.mismatches)}"
    return StripCell(state.name, words)


def _records(count: int) -> str:
    return "1 record" if count == 1 else f"{count} records"
