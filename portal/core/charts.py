"""Geometry of the small charts, in plain numbers; the templates draw it as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 112.0, 24.0
CELL, GAP, STRIP_HEIGHT = 8, 2, 20


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A line through values, scaled to its box; ``last`` is the end point."""

    line: str
    area: str
    last: tuple[float, float] | None
    width: float = WIDTH
    height: float = HEIGHT


def sparkline(values: Sequence[float | None]) -> Sparkline:
    """Return the path of ``values`` from left to right. None leaves a gap: missing is not zero."""
    known = [value for value in values if value is not None]
    if not known:
        return Sparkline("", "", None)
    top = max(known) or 1.0
    step = WIDTH / max(len(values) - 1, 1)
    points = [
        None if value is None else (round(i * step, 1), round(HEIGHT - 1 - (HEIGHT - 2) * value / top, 1))
        for i, value in enumerate(values)
    ]
    line, area, piece = [], [], []
    for point in [*points, None]:
        if point is not None:
            piece.append(point)
        elif piece:
            path = "M" + "L".join(f"{x} {y}" for x, y in piece)
            line.append(path)
            area.append(f"{path}L{piece[-1][0]} {HEIGHT}L{piece[0][0]} {HEIGHT}Z")
            piece = []
    return Sparkline("".join(line), "".join(area), points[-1])


@dataclass(frozen=True, slots=True)
class StripCell:
    """One span of time in a strip: its state ("none" where nothing happened) and what to say of it."""

    state: str
    title: str


@dataclass(frozen=True, slots=True)
class PlacedCell:
    x: int
    y: int
    height: int
    state: str
    title: str


def strip_cells(cells: Sequence[StripCell]) -> list[PlacedCell]:
    """Return the cells side by side. What went wrong is taller than what went well, so shape tells too."""
    heights = {"ok": 12, "none": 4}
    return [
        PlacedCell(
            x=i * (CELL + GAP),
            y=STRIP_HEIGHT - heights.get(cell.state, STRIP_HEIGHT),
            height=heights.get(cell.state, STRIP_HEIGHT),
            state=cell.state,
            title=cell.title,
        )
        for i, cell in enumerate(cells)
    ]
