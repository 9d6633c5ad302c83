"""The tags that all pages use."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.template import Context, Template

from portal.core.charts import StripCell, sparkline, strip_cells
from portal.core.moments import relative_words

NOW = datetime(2026, 11, 20, 9, 12, 3, tzinfo=UTC)
TEMPLATES = Path(__file__).parents[2] / "templates"


def render(source: str, **context: object) -> str:
    return Template(source).render(Context(context))


@pytest.mark.parametrize(
    ("apart", "words"),
    [
        (timedelta(seconds=2), "now"),
        (timedelta(seconds=12), "12 s ago"),
        (timedelta(minutes=4, seconds=50), "4 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(minutes=81), "81 min ago"),
        (timedelta(hours=7, minutes=5), "7 h ago"),
        (timedelta(days=2), "18 Nov, 09:12"),
        (timedelta(days=400), "16 Oct 2025, 09:12"),
        (timedelta(seconds=-40), "in 40 s"),
    ],
)
def test_times_are_relative_within_a_day(apart: timedelta, words: str) -> None:
    with time_machine.travel(NOW, tick=False):
        assert relative_words(NOW - apart, NOW) == words


def test_a_time_carries_zone_and_utc() -> None:
    with time_machine.travel(NOW, tick=False):
        drawn = render('{% moment at "precise" %}', at=NOW)
    assert 'datetime="2026-11-20T09:12:03+00:00"' in drawn
    assert "Fri 20 Nov 2026, 09:12:03 UTC (UTC+00:00)" in drawn
    assert ">20 Nov, 09:12:03</time>" in drawn


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ 0.9987|percent }}", "99.9 %"),
        ("{{ 0.99999|percent }}", "99.9 %"),
        ("{{ 1|percent }}", "100 %"),
        ("{{ None|percent }}", "\N{EN DASH}"),
        ("{{ 134|duration }}", "2 m 14 s"),
        ("{{ 4812|capped }}", "4\N{NARROW NO-BREAK SPACE}812"),
        ("{{ 10000|capped }}", "10\N{NARROW NO-BREAK SPACE}000+"),
    ],
)
def test_numbers(source: str, shown: str) -> None:
    assert render(source) == shown


def test_a_sparkline_leaves_a_gap_for_missing_values() -> None:
    assert sparkline([1, 2, None, 2, 1]).line.count("M") == 2
    assert sparkline([None, None]).line == ""


def test_what_went_wrong_stands_taller_in_a_strip() -> None:
    well, wrong = strip_cells([StripCell("ok", ""), StripCell("failed", "")])
    assert well.height < wrong.height


def test_every_icon_in_use_is_in_the_sprite() -> None:
    sprite = (TEMPLATES / "components" / "sprite.html").read_text()
    known = set(re.findall(r'id="i-([a-z0-9-]+)"', sprite))
    used = {
        name
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r'{% icon "([a-z0-9-]+)"', path.read_text())
        + re.findall(r'icon="([a-z0-9-]+)"', path.read_text())
    }
    assert used <= known
