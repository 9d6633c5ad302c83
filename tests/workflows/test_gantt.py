from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.durations import duration_words
from workflows.gantt import FOLD_WIDTH, MAX_BARS, NARROWEST, Chart, Lane, Span, draw

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def work(start: float, end: float | None, kind: str = "run") -> Span:
    return Span(kind, "ok", after(start), None if end is None else after(end), "")


def chart(*lanes: list[Span], now: float = 100, end: float | None = None, **moments: datetime) -> Chart:
    named = [Lane(f"step_{number}", spans) for number, spans in enumerate(lanes)]
    ended = None if end is None else after(end)
    return draw(named, start=START, now=after(now), end=ended, **moments)


def test_bars_stand_at_their_share_of_the_time() -> None:
    first, second = (bar for row in chart([work(0, 25)], [work(25, 100)], end=100).bars.values() for bar in row)
    assert (first.x, first.width, second.x, second.width) == (0, 25, 25, 75)


def test_a_bar_that_goes_on_ends_at_now_and_the_expected_end_lies_beyond() -> None:
    drawn = chart([work(0, None)], now=50, expected=after(100))
    assert drawn.bars["step_0"][0].open
    assert drawn.bars["step_0"][0].width == drawn.now == 50
    assert drawn.expected == 100


def test_an_ended_run_has_no_now() -> None:
    drawn = chart([work(0, 10)], end=10, expected=after(40))
    assert (drawn.now, drawn.expected, drawn.length) == (None, None, timedelta(seconds=10))


def test_a_retry_days_later_does_not_squeeze_the_rest() -> None:
    day = 86_400.0
    drawn = chart([work(0, 10), work(10, 2 * day, "wait"), work(2 * day, 2 * day + 10)], end=2 * day + 10)
    early, waited, late = drawn.bars["step_0"]
    assert early.width == pytest.approx(late.width, abs=0.01)
    assert early.width > 40
    assert waited.width == pytest.approx(FOLD_WIDTH, abs=0.01)
    assert [fold.label for fold in drawn.folds] == ["1 d 23 h"]


def test_a_wait_in_proportion_to_the_work_is_at_scale() -> None:
    assert not chart([work(0, 40), work(40, 80, "wait"), work(80, 100)], end=100).folds


def test_hundreds_of_tries_stay_within_the_cap_and_the_latest_are_kept() -> None:
    spans = [work(second, second + 0.5) for second in range(2_000)]
    bars = chart(spans, [work(0, 1)], end=2_000).bars["step_0"]
    assert len(bars) == MAX_BARS // 2
    assert bars[0].kind == "folded"
    assert bars[0].label == "1751 earlier tries"
    assert bars[-1].x == pytest.approx(99.6, abs=0.1)


def test_a_run_without_any_time_is_drawn() -> None:
    drawn = chart([], now=0)
    assert drawn.bars == {"step_0": ()}
    assert drawn.now == 0


def test_a_promise_beyond_the_axis_is_not_marked() -> None:
    assert chart([work(0, 10)], end=10, due=after(600)).due is None
    assert chart([work(0, 10)], end=10, due=after(5)).due == 50


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e5), st.sampled_from(["run", "wait"])), max_size=12),
    st.floats(0, 2e6),
)
def test_everything_stays_on_the_axis_and_in_order(parts: list[tuple[float, float, str]], now: float) -> None:
    end = max([now, *(start + length for start, length, _ in parts)])
    drawn = chart(*([work(start, start + length, kind)] for start, length, kind in parts), end=end)
    for bars in drawn.bars.values():
        assert all(0 <= bar.x <= 100 - NARROWEST + 0.001 and bar.width >= NARROWEST for bar in bars)
    in_time = sorted((start, drawn.bars[f"step_{n}"][0].x) for n, (start, _, _) in enumerate(parts))
    assert all(a[1] <= b[1] for a, b in pairwise(in_time))
    assert all(a.x < b.x for a, b in pairwise(drawn.ticks))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.34, "340 ms"),
        (0.9999, "1 s"),
        (4.2, "4.2 s"),
        (9.96, "10 s"),
        (134, "2 m 14 s"),
        (3600, "1 h"),
        (3661, "1 h 1 m"),
        (187_200, "2 d 4 h"),
        (-3, "0 s"),
    ],
)
def test_durations_are_told_in_at_most_two_units(seconds: float, words: str) -> None:
    assert duration_words(timedelta(seconds=seconds)) == words
