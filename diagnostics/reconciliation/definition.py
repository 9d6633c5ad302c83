"""What an author declares: a function that compares two sources of truth, how often, and whose it is.

Pure: knows no database and no clock.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from workflows.errors import DefinitionError
from workflows.schedules.cron import Cron, CronError

SHORTEST = timedelta(minutes=1)
# How far back the last time of a cron expression is looked for, the nearest first.
_SPANS = tuple(timedelta(hours=hours) for hours in (1, 25, 32 * 24, 367 * 24))
_AT_MOST = 2000
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CURRENCY = re.compile(r"[A-Z]{3}|")


class CannotSee(Exception):
    """A source could not be read; the message says which, and why. It is never shown as agreement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A record on which the two sides differ.

    ``key`` names it, the same each time. ``left`` and ``right`` are what each side says of it, None where it has no
    such record. ``amount`` is what is at stake, above zero; None if that is not known.
    """

    key: str
    left: str | Decimal | None
    right: str | Decimal | None
    amount: Decimal | None = None
    currency: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not 0 < len(self.key) <= 200:
            raise ValueError("A mismatch needs a key of 1 to 200 characters.")
        if self.left == self.right:
            raise ValueError(f"{self.key}: both sides say {self.left!r}; that is no mismatch.")
        if self.amount is not None and (not isinstance(self.amount, Decimal) or self.amount < 0):
            raise ValueError(f"{self.key}: the amount at stake is a Decimal of zero or more, not {self.amount!r}.")
        if not _CURRENCY.fullmatch(self.currency):
            raise ValueError(f'{self.key}: "{self.currency}" is no currency; write it like "EUR".')


Compare = Callable[[], Iterable[Mismatch]]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a check is due: at the times of a cron expression, or every so often, counted from midnight UTC 1970."""

    every: Cron | timedelta

    def latest(self, moment: datetime) -> datetime:
        """Return the last time it was due, not later than ``moment``: the same for everybody who asks."""
        if isinstance(self.every, timedelta):
            return datetime.fromtimestamp(moment.timestamp() // self._seconds * self._seconds, UTC)
        for span in _SPANS:
            since = moment - span
            while times := self.every.between(since, moment, at_most=_AT_MOST):
                since = times[-1]
                if len(times) < _AT_MOST:
                    return since
        return moment

    def following(self, moment: datetime) -> datetime:
        """Return the next time it is due, later than ``moment``."""
        if isinstance(self.every, timedelta):
            return self.latest(moment) + self.every
        return self.every.after(moment)

    @property
    def words(self) -> str:
        """The rhythm in words."""
        if isinstance(self.every, Cron):
            return f"{self.every.words}, {self.every.zone}"
        minutes = round(self._seconds / 60)
        return "every minute" if minutes == 1 else f"every {minutes} minutes"

    @property
    def _seconds(self) -> float:
        assert isinstance(self.every, timedelta)  # noqa: S101 - the callers have looked
        return self.every.total_seconds()


@dataclass(frozen=True, slots=True)
class Check:
    """A declared reconciliation. ``within``: how long comparing may take; ``about``: what it is for."""

    name: str
    title: str
    owner: str
    rhythm: Rhythm
    left: str
    right: str
    runbook: str
    within: timedelta
    about: str
    compare: Compare


_checks: dict[str, Check] = {}


def reconciliation(
    name: str,
    *,
    title: str,
    owner: str,
    every: Cron | str | timedelta,
    left: str,
    right: str,
    runbook: str = "",
    within: timedelta = timedelta(minutes=5),
) -> Callable[[Compare], Compare]:
    """Declare that a function compares two sources of truth, and returns or yields the records on which they differ.

    :param name: lower-case words joined by "-"; unique.
    :param owner: the team's slug; who may see and start its runs may see and start this.
    :param every: a cron expression (UTC, or a ``Cron`` with its zone) or a timedelta of a minute or more.
    :param left: what the first source is called on screen, as "Bank statement"; ``right`` likewise.
    :param within: how long it may take.
    :raises DefinitionError: if something of that is wrong.
    """

    def declare(compare: Compare) -> Compare:
        about = (inspect.getdoc(compare) or "").partition("\n\n")[0].replace("\n", " ")
        rhythm = _rhythm(name, every)
        check = Check(
            name, title.strip(), owner, rhythm, left.strip(), right.strip(), runbook, within, about, compare
        )
        _refuse_mistakes(check)
        _checks[name] = check
        return compare

    return declare


def declared() -> list[Check]:
    """Return every declared check, by name."""
    return [_checks[name] for name in sorted(_checks)]


def find(name: str) -> Check | None:
    """Return the check of this name, None if the code has none."""
    return _checks.get(name)


def forget(name: str) -> None:
    """Take a check out again (tests)."""
    _checks.pop(name, None)


def _rhythm(name: str, every: Cron | str | timedelta) -> Rhythm:
    if isinstance(every, str):
        try:
            every = Cron(every)
        except CronError as exc:
            raise DefinitionError(f'@reconciliation("{name}"): every: {exc}') from exc
    if isinstance(every, timedelta) and every < SHORTEST:
        raise DefinitionError(f'@reconciliation("{name}"): every: {every} is too often; a minute is the least')
    return Rhythm(every)


def _refuse_mistakes(check: Check) -> None:
    known = _checks.get(check.name)
    for is_wrong, what in (
        (not _NAME.fullmatch(check.name) or len(check.name) > 80, 'the name is lower-case words joined by "-"'),
        (known and known.compare.__code__ is not check.compare.__code__, "this name is taken by another check"),
        (not check.title, "title: say what is compared, in a few words"),
        (not _NAME.fullmatch(check.owner), "owner: the slug of the team that it belongs to"),
        (
            not check.left or not check.right or check.left == check.right,
            "left, right: name both sources, each apart",
        ),
        (bool(inspect.signature(check.compare).parameters), "the function takes no parameters"),
        (not check.about, "give the function a docstring: its first sentence is shown on the page"),
        (check.within <= timedelta(), "within: how long comparing may take, above zero"),
    ):
        if is_wrong:
            code = check.compare.__code__
            raise DefinitionError(
                f'{code.co_filename}:{code.co_firstlineno}: @reconciliation("{check.name}"): {what}.'
            )
