"""The map shows every step and transition, and no line runs through a box."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.definitions import PARTNER_PAYOUT, SETTLE_INVOICE, Json, definition, retry, step
from workflows.map import INPUT, Box, WorkflowMap, draw, sources
from workflows.map.drawing import BOX_WIDTH

DIAMOND = definition(
    "diamond",
    [
        step("a", 1, retry=retry()),
        step("b", 2, needs=["a", "input"], effect="database"),
        step("c", 3, needs=["a"], effect="external", calls="mail", idempotent=False),
        step("d", 4, needs=["b", "c", "input"], retry=retry()),
        step("e", 5, needs=["a", "d"], after=["b"]),
    ],
)
EVERY = pytest.mark.parametrize("shape", [SETTLE_INVOICE, PARTNER_PAYOUT, DIAMOND], ids=lambda s: str(s["slug"]))
BOTH = pytest.mark.parametrize("one_column", [False, True])


def transitions(shape: Json) -> set[tuple[str, str, str]]:
    found = {(source, s["name"], kind) for s in shape["steps"] for source, kind in sources(s).items()}
    return found | {(INPUT, s["name"], "data") for s in shape["steps"] if INPUT in s["needs"]}


def box(drawn: WorkflowMap, name: str) -> Box:
    return next(b for b in drawn.boxes if b.name == name)


def verticals(path: str) -> list[tuple[float, float, float]]:
    """Return the vertical pieces of a path as (x, from y, to y)."""
    pieces, x, y = [], 0.0, 0.0
    for letter, numbers in re.findall(r"([MVHCQ])([-\d. e]+)", path):
        values = [float(n) for n in numbers.split()]
        if letter == "V":
            pieces.append((x, y, values[0]))
            y = values[0]
        elif letter == "H":
            x = values[0]
        else:
            x, y = values[-2:]
    return pieces


@EVERY
@BOTH
def test_map_draws_each_step_and_transition_once(shape: Json, one_column: bool) -> None:
    drawn = draw(shape, one_column=one_column)
    assert [b.name for b in drawn.boxes] == [INPUT, *(s["name"] for s in shape["steps"])]
    assert sorted((e.source, e.target, e.kind) for e in drawn.edges) == sorted(transitions(shape))


@EVERY
@BOTH
def test_boxes_do_not_overlap_and_fit(shape: Json, one_column: bool) -> None:
    drawn = draw(shape, one_column=one_column)
    for i, a in enumerate(drawn.boxes):
        assert a.x >= 0
        assert a.x + BOX_WIDTH <= drawn.width
        assert a.foot <= drawn.height
        for b in drawn.boxes[:i]:
            assert a.x + BOX_WIDTH <= b.x or b.x + BOX_WIDTH <= a.x or a.foot <= b.y or b.foot <= a.y


@EVERY
@BOTH
def test_no_line_runs_through_a_box(shape: Json, one_column: bool) -> None:
    drawn = draw(shape, one_column=one_column)
    for edge in drawn.edges:
        for x, top, bottom in verticals(edge.path):
            for b in drawn.boxes:
                assert not (b.x < x < b.x + BOX_WIDTH and top < b.y + b.height - 1 and bottom > b.y + 1), (
                    edge,
                    b,
                )


@EVERY
def test_one_column_fits_a_telephone(shape: Json) -> None:
    drawn = draw(shape, one_column=True)
    assert drawn.width <= 343
    assert len({b.x for b in drawn.boxes}) == 1
    assert all(upper.foot < lower.y for upper, lower in pairwise(drawn.boxes))


def test_steps_stand_below_those_that_they_follow() -> None:
    drawn = draw(SETTLE_INVOICE)
    assert box(drawn, "charge").foot < box(drawn, "post_to_ledger").y
    assert box(drawn, "send_receipt").y == box(drawn, "close_invoice").y


def test_hazards_are_marked_in_words() -> None:
    words = {c.word: c.is_hazard for c in box(draw(PARTNER_PAYOUT), "send_payout").chips}
    assert words == {"not idempotent": True, "no retry": True, "can be undone": False}


def test_transition_into_a_step_without_retry_carries_a_sign() -> None:
    marked = {e.target for e in draw(PARTNER_PAYOUT).edges if e.mark}
    assert marked == {"calculate_share", "send_payout"}


def test_dependency_hangs_under_the_step_that_calls_it() -> None:
    drawn = draw(SETTLE_INVOICE)
    charge = box(drawn, "charge")
    assert charge.plug is not None
    assert charge.plug.name == "payments-gateway"
    assert charge.y + charge.height < charge.plug.y
    assert box(drawn, "post_to_ledger").plug is None


def test_long_titles_are_cut_not_overflowing() -> None:
    long = definition("long", [step("a", 1, title="Reconcile " * 12, calls="a-very-long-dependency-name-indeed")])
    drawn = box(draw(long), "a")
    assert len(drawn.lines) == 2
    assert drawn.lines[1].endswith("…")
    assert drawn.plug is not None
    assert drawn.plug.label.endswith("…")
