"""Where the steps of a workflow stand: which layer, in which order, at which x. Time runs downward.

1. A step's layer is the longest way to it from the input.
2. An edge that jumps layers gets a narrow lane in each layer that it passes: no line runs through a box.
3. Layers are ordered by the mean place of their neighbours, sweeping down and up; the order with the fewest
   crossings is kept.
4. Boxes stand below each other where they can and lanes give way: least squared distance from where the
   neighbours in the last layer placed want them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any, Literal, NamedTuple

Step = Mapping[str, Any]
Steps = Mapping[str, Step]
EdgeKind = Literal["data", "order"]

INPUT = "input"
_ORDER_SWEEPS, _PLACE_SWEEPS = 8, 7
_BOX_WEIGHT, _LANE_WEIGHT = 1000.0, 1.0


class Node(NamedTuple):
    """A step or the input in its layer; with ``lane_to``, the lane of an edge past a layer."""

    name: str
    layer: int
    lane_to: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One transition: its source, the lanes that it takes, its target."""

    kind: EdgeKind
    nodes: tuple[Node, ...]

    @property
    def pairs(self) -> Iterator[tuple[Node, Node]]:
        """Neighbouring nodes, upper and lower."""
        return pairwise(self.nodes)


@dataclass(frozen=True, slots=True)
class Layers:
    """The steps and lanes of each layer from left to right, and the transitions between them."""

    rows: tuple[tuple[Node, ...], ...]
    links: tuple[Link, ...]
    one_column: bool

    @property
    def boxes(self) -> dict[str, Node]:
        """The nodes that are no lanes, by name."""
        return {node.name: node for row in self.rows for node in row if not node.lane_to}


def sources(step: Step) -> dict[str, EdgeKind]:
    """Return the steps that ``step`` follows, each with what comes from it: data, or only the order."""
    found: dict[str, EdgeKind] = {name: "data" for name in step["needs"] if name != INPUT}
    for name in step["after"]:
        found.setdefault(name, "order")
    return found


def layered(steps: Steps, *, one_column: bool = False) -> Layers:
    """Return the layers of ``steps``; in ``one_column`` each step has its own, with the lanes to its left."""
    layer_of = {INPUT: 0}
    for place, name in enumerate(_in_order(steps), 1):
        deepest = max((layer_of[source] for source in sources(steps[name])), default=0)
        layer_of[name] = place if one_column else deepest + 1
    links = tuple(_links(steps, layer_of))
    rows: list[list[Node]] = [[] for _ in range(len(set(layer_of.values())))]
    for node in [lane for link in links for lane in link.nodes[1:-1]]:  # before the steps: a tie leaves them left
        rows[node.layer].append(node)
    for name, layer in layer_of.items():
        rows[layer].append(Node(name, layer))
    return Layers(_least_crossed(rows, links, lanes_first=one_column), links, one_column)


def places(layers: Layers, extent: Callable[[Node], tuple[float, float]], beside: float) -> dict[Node, float]:
    """Return the x of each node's anchor.

    ``extent`` tells how far a node reaches to the left and right of its anchor; ``beside`` is the least space
    between two nodes.
    """
    above, below = _neighbours(layers.links)
    anchors = {node: 0.0 for row in layers.rows for node in row}
    for sweep in range(_PLACE_SWEEPS):
        downward = sweep % 2 == 0
        for row in layers.rows if downward else reversed(layers.rows):
            wishes = []
            for node in row:
                near = _nearest((above if downward else below).get(node, [node]))
                in_column = layers.one_column and not node.lane_to
                wishes.append(0.0 if in_column else sum(anchors[n] for n in near) / len(near))
            anchors.update(zip(row, _nearest_places(row, wishes, extent, beside), strict=True))
    return anchors


def _in_order(steps: Steps) -> Iterator[str]:
    """Yield the steps so that each comes after those it follows, else by position."""
    sorter = TopologicalSorter({name: list(sources(step)) for name, step in steps.items()})
    sorter.prepare()
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=lambda name: steps[name]["position"])
        sorter.done(ready[0])
        yield ready.pop(0)


def _links(steps: Steps, layer_of: Mapping[str, int]) -> Iterator[Link]:
    """Yield every transition between steps, and those from the input to steps that follow no other."""
    for name, step in steps.items():
        start: dict[str, EdgeKind] = {INPUT: "data" if INPUT in step["needs"] else "order"}
        for source, kind in (sources(step) or start).items():
            top, bottom = layer_of[source], layer_of[name]
            lanes = (Node(source, layer, name) for layer in range(top + 1, bottom))
            yield Link(kind, (Node(source, top), *lanes, Node(name, bottom)))


def _neighbours(links: Sequence[Link]) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    above: dict[Node, list[Node]] = {}
    below: dict[Node, list[Node]] = {}
    for upper, lower in (pair for link in links for pair in link.pairs):
        below.setdefault(upper, []).append(lower)
        above.setdefault(lower, []).append(upper)
    return above, below


def _nearest(nodes: Sequence[Node]) -> Sequence[Node]:
    """Return the boxes among ``nodes``, which a node should stand in line with; without one, the lanes."""
    return [node for node in nodes if not node.lane_to] or nodes


def _least_crossed(
    rows: Sequence[Sequence[Node]], links: Sequence[Link], *, lanes_first: bool
) -> tuple[tuple[Node, ...], ...]:
    above, below = _neighbours(links)
    place = {node: i for row in rows for i, node in enumerate(row)}
    best, fewest = dict(place), _crossings(place, links)
    for sweep in range(_ORDER_SWEEPS):
        beside = above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else reversed(rows):
            keys = {
                node: (
                    lanes_first and not node.lane_to,
                    _mean_place(beside.get(node, [node]), place),
                    place[node],
                )
                for node in row
            }
            place |= {node: i for i, node in enumerate(sorted(row, key=keys.__getitem__))}
        crossings = _crossings(place, links)
        if crossings < fewest:
            best, fewest = dict(place), crossings
    return tuple(tuple(sorted(row, key=best.__getitem__)) for row in rows)


def _mean_place(nodes: Sequence[Node], place: Mapping[Node, int]) -> float:
    return sum(place[node] for node in nodes) / len(nodes)


def _crossings(place: Mapping[Node, int], links: Sequence[Link]) -> int:
    gaps: dict[int, list[tuple[int, int]]] = {}
    for upper, lower in (pair for link in links for pair in link.pairs):
        gaps.setdefault(upper.layer, []).append((place[upper], place[lower]))
    return sum(
        (a[0] - b[0]) * (a[1] - b[1]) < 0 for lines in gaps.values() for i, a in enumerate(lines) for b in lines[:i]
    )


def _nearest_places(
    row: Sequence[Node], wishes: Sequence[float], extent: Callable[[Node], tuple[float, float]], beside: float
) -> list[float]:
    """Return places in the row's order, without overlap, nearest to the wishes by weighted squared distance.

    Pool adjacent violators: with the needed distances taken off, places must only not decrease; where wishes
    do, the pool takes their weighted mean.
    """
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + extent(left)[1] + beside + extent(right)[0])
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for node, wish, offset in zip(row, wishes, offsets, strict=True):
        mean, weight, members = wish - offset, _LANE_WEIGHT if node.lane_to else _BOX_WEIGHT, 1
        while pools and pools[-1][0] > mean:
            other, other_weight, other_members = pools.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, members = weight + other_weight, members + other_members
        pools.append((mean, weight, members))
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]
