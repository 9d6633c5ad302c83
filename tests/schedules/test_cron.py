"""When something is due: a cron expression in a zone, also where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from workflows.schedules.cron import Cron, CronError


def utc(text: str) -> datetime:
    """Return a moment from "2027-03-28 01:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(cron: Cron, after: str, count: int) -> list[str]:
    """Return the next times as text, in UTC."""
    return [f"{at:%Y-%m-%d %H:%M}" for at in islice(cron.times_after(utc(after)), count)]


def test_the_time_of_day_is_that_of_the_zone() -> None:
    berlin = Cron("0 2 * * 1-5", "Europe/Berlin")
    assert times(berlin, "2026-11-20 09:00", 3) == ["2026-11-23 01:00", "2026-11-24 01:00", "2026-11-25 01:00"]
    assert times(berlin, "2026-07-01 09:00", 1) == ["2026-07-02 00:00"]


def test_a_time_that_is_left_out_moves_to_the_end_of_the_gap() -> None:
    """In Berlin, 28 March 2027 has no 02:30: clocks go from 02:00 to 03:00, at 01:00 UTC."""
    berlin = Cron("30 2 * * *", "Europe/Berlin")
    assert times(berlin, "2027-03-27 00:00", 3) == ["2027-03-27 01:30", "2027-03-28 01:00", "2027-03-29 00:30"]


def test_two_times_that_fall_together_at_the_end_of_a_gap_count_once() -> None:
    berlin = Cron("0,30 2 * * *", "Europe/Berlin")
    assert times(berlin, "2027-03-28 00:00", 2) == ["2027-03-28 01:00", "2027-03-29 00:00"]


@pytest.mark.parametrize("after", ["2026-10-25 00:30", "2026-10-25 00:45", "2026-10-25 01:10", "2026-10-25 01:30"])
def test_a_time_that_comes_twice_counts_the_first_time_wherever_the_search_begins(after: str) -> None:
    """In Berlin, 25 October 2026 has 02:30 twice: at 00:30 and at 01:30 UTC."""
    berlin = Cron("30 2 * * *", "Europe/Berlin")
    assert times(berlin, "2026-10-25 00:00", 2) == ["2026-10-25 00:30", "2026-10-26 01:30"]
    assert times(berlin, after, 1) == ["2026-10-26 01:30"]


def test_what_recurs_within_the_day_follows_the_real_time() -> None:
    berlin = Cron("*/30 * * * *", "Europe/Berlin")
    assert times(berlin, "2026-10-24 23:45", 5) == [
        "2026-10-25 00:00",
        "2026-10-25 00:30",
        "2026-10-25 01:00",
        "2026-10-25 01:30",
        "2026-10-25 02:00",
    ]


def test_times_between_two_moments_end_with_the_second() -> None:
    hourly = Cron("0 * * * *")
    found = hourly.between(utc("2026-11-20 09:00"), utc("2026-11-20 12:00"), at_most=10)
    assert [at.hour for at in found] == [10, 11, 12]
    assert len(hourly.between(utc("2026-11-20 09:00"), utc("2026-11-27 12:00"), at_most=10)) == 10


@pytest.mark.parametrize(
    ("expression", "zone", "problem"),
    [
        ("0 2 * *", "UTC", "does not have the five fields"),
        ("0 0 2 * * *", "UTC", "does not have the five fields"),
        ("0 25 * * *", "UTC", "is no cron expression"),
        ("0 0 31 2 *", "UTC", "31 2"),
        ("0 2 * * *", "Europe/Berlim", "is no time zone that is known here"),
        ("0 2 * * *", "", "is no time zone that is known here"),
        ("0 2 * * *", "../etc/passwd", "is no time zone that is known here"),
    ],
)
def test_what_cannot_be_is_told(expression: str, zone: str, problem: str) -> None:
    with pytest.raises(CronError, match=problem):
        Cron(expression, zone)


def test_it_is_said_in_words() -> None:
    assert Cron("0 2 * * 1-5").words == "At 02:00 on Monday through Friday"


@pytest.mark.parametrize(
    ("expression", "moment", "note"),
    [
        ("30 2 * * *", "2027-01-01 00:00", "there is no 02:30 in Europe/Berlin: that day it starts at 03:00"),
        ("30 2 * * *", "2026-07-01 00:00", "02:30 comes twice in Europe/Berlin: it starts the first time only"),
        ("30 2 * * 1-5", "2027-01-01 00:00", "Clocks change on 28 March 2027; its times of day stay"),
        ("0 9 * * *", "2027-01-01 00:00", "Clocks change on 28 March 2027; its times of day stay"),
    ],
)
def test_what_the_next_change_of_clocks_does_is_said(expression: str, moment: str, note: str) -> None:
    assert note in Cron(expression, "Europe/Berlin").clock_note(utc(moment))


def test_what_recurs_within_the_day_has_no_note() -> None:
    assert Cron("*/5 * * * *", "Europe/Berlin").clock_note(utc("2027-01-01 00:00")) == ""


def test_a_zone_without_changes_has_no_note() -> None:
    assert Cron("30 2 * * *", "Asia/Tokyo").clock_note(utc("2027-01-01 00:00")) == ""
