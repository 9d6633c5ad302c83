"""The drawing itself: boxes, the dependencies plugged into them, and the lines between, in pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.map.layers import INPUT, EdgeKind, Layers, Link, Node, Step, Steps, layered, places, sources
from workflows.map.words import effect_line, markers, shortened, text_width, wrapped
from workflows.pause_words import kind_of

BOX_WIDTH, PLUG_WIDTH, PLUG_HEIGHT, PLUG_GAP = 224, 160, 26, 8
PORT = 40  # where lines enter and leave a box, from its left edge
LINE, PADDING, ICON, GAP, MARGIN = 17, 11, 22, 44, 8
CHIP_HEIGHT, CHIP_GAP = 18, 5
TITLE_SIZE, CHIP_SIZE, PLUG_SIZE = 13, 11, 12
_RAIL, _LANE, _BESIDE, _AROUND, _PORT_SPREAD, _CORNER = 12, 1, 12, 5, 13, 8
_MARK_ABOVE = 19  # the sign "no retry" stands this far above the box that it warns of


@dataclass(frozen=True, slots=True)
class Chip:
    """A marker in a box: a word and where it stands."""

    word: str
    is_hazard: bool
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Plug:
    """The dependency that a step calls, hung under the step's box."""

    name: str
    label: str
    x: float
    y: float

    @property
    def tie_at(self) -> tuple[float, float]:
        """Where the line that ties it to its box starts."""
        return self.x + PLUG_WIDTH / 2, self.y - PLUG_GAP


@dataclass(frozen=True, slots=True)
class Box:
    """One step, or the input, as a rectangle with its words."""

    name: str
    lines: tuple[str, ...]
    detail: str
    effect: str
    x: float
    y: float
    height: float
    chips: tuple[Chip, ...] = ()
    plug: Plug | None = None

    @property
    def icon_at(self) -> tuple[float, float]:
        """Where the icon of the effect stands."""
        return self.x + PADDING, self.y + PADDING + 1

    @property
    def text_x(self) -> float:
        """Where the words start."""
        return self.x + PADDING + ICON

    @property
    def written(self) -> tuple[tuple[str, float], ...]:
        """The lines of the title, each with its baseline."""
        return tuple((line, self.y + PADDING + TITLE_SIZE + LINE * i) for i, line in enumerate(self.lines))

    @property
    def detail_y(self) -> float:
        """The baseline of the detail."""
        return self.y + PADDING + TITLE_SIZE + LINE * len(self.lines)

    @property
    def foot(self) -> float:
        """The lowest y of the box and what hangs under it."""
        return self.plug.y + PLUG_HEIGHT if self.plug else self.y + self.height


@dataclass(frozen=True, slots=True)
class Edge:
    """One transition. ``mark`` is where the sign "no retry" stands, once per step that is not retried; a
    hazard where that step changes something.
    """

    source: str
    target: str
    kind: EdgeKind
    path: str
    mark: tuple[float, float] | None
    is_hazard: bool = False


@dataclass(frozen=True, slots=True)
class WorkflowMap:
    """The whole drawing; ``boxes`` are in the order of the steps, the input first."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def draw(definition: Mapping[str, Any], *, one_column: bool = False) -> WorkflowMap:
    """Return the map of ``definition`` (a WorkflowVersion's JSON); ``one_column`` suits a narrow screen."""
    steps: Steps = {s["name"]: s for s in sorted(definition["steps"], key=lambda s: s["position"])}
    drawing = _Drawing(steps, layered(steps, one_column=one_column))
    boxes = [drawing.boxes[name] for name in (INPUT, *steps)]
    edges = [*map(drawing.edge, drawing.layers.links), *drawing.rail()]
    right = max([box.x + BOX_WIDTH for box in boxes] + [x + _LANE for x in drawing.anchors.values()])
    return WorkflowMap(right + MARGIN, max(box.foot for box in boxes) + MARGIN, tuple(boxes), tuple(edges))


class _Drawing:
    """The layers of a workflow with everything measured."""

    def __init__(self, steps: Steps, layers: Layers) -> None:
        self.steps, self.layers = steps, layers
        self.anchors = _from_the_margin(
            places(layers, _extent, _BESIDE), has_rail=any(map(_taps_rail, steps.values()))
        )
        self.tops, self.feet, top = [], [], float(MARGIN + CHIP_HEIGHT / 2)
        self.boxes: dict[str, Box] = {}
        for row in layers.rows:
            of_row = [_box(steps, node.name, self.anchors[node] - PORT, top) for node in row if not node.lane_to]
            self.boxes |= {box.name: box for box in of_row}
            self.tops.append(top)
            self.feet.append(max(box.foot for box in of_row))
            top = self.feet[-1] + GAP

    def edge(self, link: Link) -> Edge:
        """Return a transition as a line: out of the box, down its lanes, into the next box."""
        first, last = link.nodes[0], link.nodes[-1]
        x = self.anchors[first] + self._port(link, 0)
        source = self.boxes[first.name]
        path, foot = [f"M{x:g} {source.y + source.height:g}"], self.feet[first.layer]
        path.append(f"V{foot:g}")
        for lane in link.nodes[1:-1]:
            path += [_bend(x, foot, self.anchors[lane], self.tops[lane.layer]), f"V{self.feet[lane.layer]:g}"]
            x, foot = self.anchors[lane], self.feet[lane.layer]
        port, top = self._port(link, -1), self.tops[last.layer]
        path.append(_bend(x, foot, self.anchors[last] + port, top))
        is_marked = port == 0 and not self.steps[last.name]["retry"]
        mark = (self.anchors[last], top - _MARK_ABOVE) if is_marked else None
        is_hazard = self.steps[last.name]["effect"] != "pure"
        return Edge(first.name, last.name, link.kind, " ".join(path), mark, is_hazard)

    def rail(self) -> list[Edge]:
        """Return the edges from the input to steps that also follow another: down the left, then across.

        One line each would fill the map; the rail shows the same transitions.
        """
        x, start = MARGIN + _RAIL / 2, self.boxes[INPUT]
        y = start.y + start.height / 2
        stem = f"M{start.x:g} {y:g} H{x + _CORNER:g} Q{x:g} {y:g} {x:g} {y + _CORNER:g}"
        return [
            Edge(INPUT, name, "data", f"{stem} {self._tap(name, x)}", None)
            for name, step in self.steps.items()
            if _taps_rail(step)
        ]

    def _tap(self, name: str, x: float) -> str:
        """Return the way from the rail into a box: from the left, or over the boxes that stand in between."""
        box, node = self.boxes[name], self.layers.boxes[name]
        is_first = next(n for n in self.layers.rows[node.layer] if not n.lane_to) == node
        y = box.y + PADDING + LINE / 2 if is_first else box.y - _CORNER
        end = f"H{box.x:g}" if is_first else f"H{self.anchors[node] + 2 * _PORT_SPREAD:g} V{box.y:g}"
        return f"V{y - _CORNER:g} Q{x:g} {y:g} {x + _CORNER:g} {y:g} {end}"

    def _port(self, link: Link, end: int) -> float:
        """Return how far from the anchor a link leaves (end 0) or enters (-1) its box; the straightest: 0."""
        beside, here = (1, self.anchors[link.nodes[0]]) if end == 0 else (-2, self.anchors[link.nodes[-1]])
        shared = [other for other in self.layers.links if other.nodes[end] == link.nodes[end]]
        shared.sort(key=lambda other: self.anchors[other.nodes[beside]])
        distances = [abs(self.anchors[other.nodes[beside]] - here) for other in shared]
        spread = min(_PORT_SPREAD, 2 * (PORT - 12) / max(1, len(shared) - 1))
        return max((shared.index(link) - distances.index(min(distances))) * spread, 12 - PORT)


def _taps_rail(step: Step) -> bool:
    return INPUT in step["needs"] and bool(sources(step))


def _extent(node: Node) -> tuple[float, float]:
    return (_LANE, _LANE) if node.lane_to else (PORT + _AROUND, BOX_WIDTH - PORT + _AROUND)


def _from_the_margin(anchors: Mapping[Node, float], *, has_rail: bool) -> dict[Node, float]:
    left = min(x - _extent(node)[0] for node, x in anchors.items())
    shift = MARGIN + (_RAIL + _BESIDE if has_rail else 0) - left
    return {node: round(x + shift) for node, x in anchors.items()}


def _box(steps: Steps, name: str, x: float, y: float) -> Box:
    if name == INPUT:
        return Box(INPUT, ("Input",), "", INPUT, x, y, 2 * PADDING + LINE)
    step = steps[name]
    lines = wrapped(step["title"], TITLE_SIZE, BOX_WIDTH - 2 * PADDING - ICON)
    height: float = 2 * PADDING + LINE * (len(lines) + 1)
    chips = _chips(markers(step), x + PADDING, y + height - PADDING / 2)
    if chips:
        height = chips[-1].y + CHIP_HEIGHT + PADDING - y
    plug = None
    if step["calls"]:
        label = shortened(step["calls"], PLUG_SIZE, PLUG_WIDTH - 36)
        plug = Plug(step["calls"], label, x + BOX_WIDTH - PLUG_WIDTH, y + height + PLUG_GAP)
    return Box(name, lines, effect_line(step), kind_of(step) or step["effect"], x, y, height, chips, plug)


def _chips(words: Sequence[tuple[str, bool]], left: float, top: float) -> tuple[Chip, ...]:
    """Return markers set in as many lines as they need, from (left, top)."""
    chips: list[Chip] = []
    x, y = float(left), float(top)
    for word, is_hazard in words:
        width = round(text_width(word, CHIP_SIZE) + 14)
        if x > left and x + width > left + BOX_WIDTH - 2 * PADDING:
            x, y = left, y + CHIP_HEIGHT + CHIP_GAP
        chips.append(Chip(word, is_hazard, x, y, width))
        x += width + CHIP_GAP
    return tuple(chips)


def _bend(x0: float, y0: float, x1: float, y1: float) -> str:
    middle = (y0 + y1) / 2
    return f"V{y1:g}" if x0 == x1 else f"C{x0:g} {middle:g} {x1:g} {middle:g} {x1:g} {y1:g}"
