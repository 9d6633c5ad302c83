"""What a run that ended with gaps lacks: optional steps, steps that fell back, items of fan-outs; and its worth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from workflows.engine.state import StepStatus
from workflows.models import StepRun

_SUMMARY = frozenset({"total", "failed", "missing", "worth"})
_NAMED = 3


def worth_words(worth: Mapping[str, Decimal]) -> str:
    """Return amounts by currency as words: "435.30 EUR, 80.00 GBP and 5,536.70 USD"; "" for none."""
    return _listed([f"{amount:,.2f} {currency}".strip() for currency, amount in sorted(worth.items())])


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a run lacks. ``what``: failed, fell_back or items; the rest is known of items only."""

    step: str
    what: str
    message: str = ""
    failed: int = 0
    total: int = 0
    names: Sequence[str] = ()
    worth: Mapping[str, str] = field(default_factory=dict)

    @property
    def worth_words(self) -> str:
        """What the missing items are worth: "1,250.00 EUR and 80.00 GBP"; "" if that is not known."""
        return worth_words({currency: Decimal(amount) for currency, amount in self.worth.items()})

    @property
    def items_words(self) -> str:
        """How many items are missing, and their worth: "lacks 2 of 10 items, worth 10.00 EUR"."""
        worth = f", worth {self.worth_words}" if self.worth else ""
        return f"lacks {self.failed} of {self.total} items{worth}"

    @property
    def names_words(self) -> str:
        """Which items are missing: "F-3 and F-7", "F-1, F-2, F-3 and 9 more"."""
        names, more = list(self.names[:_NAMED]), self.failed - len(self.names[:_NAMED])
        if more:
            return f"{', '.join(names)} and {more} more"
        return _listed(names)

    def words(self, title: str) -> str:
        """Return the gap in a few words, for a list."""
        match self.what:
            case "items":
                return f"{title} {self.items_words}"
            case "fell_back":
                return f"{title} used its fallback"
            case _:
                return f"{title} failed"


def gap_of(row: StepRun) -> Gap | None:
    """Return what is missing of a step of a degraded run; None if nothing is."""
    message = str((row.error or {}).get("message", ""))
    if row.status in {StepStatus.FAILED, StepStatus.FELL_BACK}:
        return Gap(row.step, str(row.status), message)
    summary = row.output
    if not (isinstance(summary, dict) and summary.keys() >= _SUMMARY and summary["failed"]):
        return None
    return Gap(
        step=row.step,
        what="items",
        failed=summary["failed"],
        total=summary["total"],
        names=summary["missing"],
        worth=summary["worth"],
    )


def gaps_in(rows: Iterable[StepRun]) -> list[Gap]:
    """Return all gaps, in the order of the steps."""
    return [gap for row in rows if (gap := gap_of(row))]
