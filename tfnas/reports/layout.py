"""Layered layouts of directed acyclic graphs: boxes in rows, edges that go around every box between their ends.

An edge that spans several layers gets a dummy vertex in each layer between, so that rows leave room for edges. Lines
are vertical beside boxes and curved in the gaps between rows, where no box stands; a line therefore never meets a box
other than its ends.

References:
  Coffman and Graham 1972, "Optimal Scheduling for Two-Processor Systems": rows of bounded width.
  Sugiyama, Tagawa and Toda 1981, "Methods for Visual Understanding of Hierarchical System Structures": the four steps
    (layers, order, positions, lines).
  Gansner, Koutsofios, North and Vo 1993, "A Technique for Drawing Directed Graphs", sections 3 and 4: transposition of
    neighbours, and weights that keep long edges straight.
"""

import collections
import dataclasses
import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy import sparse
from scipy.optimize import isotonic_regression, linprog

ARROW_LENGTH, ARROW_WIDTH = 0.075, 0.062
_BOX_GAP, _LINE_GAP, _LEAST_GAP = 0.16, 0.13, 0.08
_ROW_GAP, _SLOPE, _CROWD, _LARGEST_GAP = 0.17, 0.12, 0.03, 0.9
_PORT_GAP, _REACH = 0.11, 0.38
_SWEEPS, _RESTARTS = 8, 4
_SMALL = 150
_STRAIGHTNESS = (2.0, 1.0, 8.0)
_CHAIN = 5.0
_BENDS = (0.3, 0.9)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Positions in inches; x grows to the right, y grows downwards.

    Attributes:
      centres: float `[V, 2]`, the middle of every box.
      curves: float `[3 K + 1, 2]` per edge: control points of K cubic Bezier curves from the border of the source to
        the border of the target; the last curve is a vertical line as long as an arrowhead.
      layers: int `[V]`, the row of every box within its column.
      extent: width and height of the whole drawing.
    """

    centres: np.ndarray
    curves: tuple[np.ndarray, ...]
    layers: np.ndarray
    extent: tuple[float, float]


def layered(
    sizes: np.ndarray,
    edges: Sequence[tuple[int, int]],
    *,
    last: Sequence[int] = (),
    widest: float = np.inf,
) -> Layout:
    """Positions of the vertices of a directed acyclic graph in rows from top to bottom, and the curves of its edges.

    Args:
      sizes: width and height of every box in inches, `[V, 2]`; a size of 0 is a point.
      edges: distinct pairs (source, target).
      last: vertices without successors that stand in the last row; by default every vertex stands as high as it can.
      widest: width of the boxes of a row in inches; a box without room moves to a later row.

    Example:
      >>> layout = layered(np.full((3, 2), 0.5), [(0, 1), (1, 2), (0, 2)])
      >>> layout.layers.tolist()
      [0, 1, 2]
    """
    sizes = np.asarray(sizes, float).reshape(-1, 2)
    if not len(sizes):
        return Layout(np.zeros((0, 2)), (), np.zeros(0, int), (0.0, 0.0))
    layers = _layers(sizes, edges, last, widest)
    chains, widths = [], sizes[:, 0].tolist()
    rows = layers.tolist()
    for source, target in edges:
        dummies = range(len(rows), len(rows) + rows[target] - rows[source] - 1)
        rows += range(rows[source] + 1, rows[target])
        widths += [0.0] * len(dummies)
        chains.append([source, *dummies, target])
    segments = np.array([pair for chain in chains for pair in itertools.pairwise(chain)], int).reshape(-1, 2)
    order = _order(rows, segments)
    x = _abscissae(order, np.array(widths), segments, len(sizes))
    heights = np.array([max(sizes[row, 1] for row in line if row < len(sizes)) if line else 0.0 for line in order])
    starts, ends = _ports(order, x, sizes, segments)
    _straighten(chains, order, x, np.array(widths), starts, ends)
    gaps = _gaps(np.array(rows)[segments[:, 0]], np.abs(ends - starts), len(order))
    tops = np.concatenate([[0.0], np.cumsum(heights + gaps)[:-1]])
    y = (tops + heights / 2)[rows]
    curves = []
    number = 0
    for chain in chains:
        points = [np.array([starts[number], y[chain[0]] + sizes[chain[0], 1] / 2])]
        for vertex in chain[1:]:
            above, below = tops[rows[vertex] - 1] + heights[rows[vertex] - 1], tops[rows[vertex]]
            real = vertex < len(sizes)
            line_to(points, [points[-1][0], above])
            _bend_to(points, [ends[number], below - ARROW_LENGTH * real])
            line_to(points, [ends[number], y[vertex] - sizes[vertex, 1] / 2 if real else below + heights[rows[vertex]]])
            number += 1
        curves.append(np.array(points))
    centres = np.stack([x, y], axis=1)[: len(sizes)]
    return _shifted(Layout(centres, tuple(curves), layers, (0.0, float(tops[-1] + heights[-1]))), sizes)


def sampled(curve: np.ndarray, steps: int = 24) -> np.ndarray:
    """Points `[K * steps + 1, 2]` on a chain of K cubic Bezier curves, given by control points `[3 K + 1, 2]`."""
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
        for a, b, c, d in (curve[start : start + 4] for start in range(0, len(curve) - 1, 3))
    ]
    return np.concatenate([*pieces, curve[-1:]])


def _layers(sizes: np.ndarray, edges: Sequence[tuple[int, int]], last: Sequence[int], widest: float) -> np.ndarray:
    """The first row of every vertex below its sources that has room; the start of the longest path to an end first."""
    sources, targets = _neighbours(len(sizes), edges)
    heights, waiting = [0] * len(sizes), [len(below) for below in targets]
    ends = [vertex for vertex, count in enumerate(waiting) if not count]
    for vertex in ends:  # grows
        for source in sources[vertex]:
            heights[source] = max(heights[source], heights[vertex] + 1)
            waiting[source] -= 1
            if not waiting[source]:
                ends.append(source)
    layers, loads = np.zeros(len(sizes), int), np.zeros(len(sizes) + 1)
    waiting = [len(above) for above in sources]
    ready = [(-heights[vertex], vertex) for vertex, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    while ready:
        _, vertex = heapq.heappop(ready)
        width = sizes[vertex, 0] + _BOX_GAP
        layer = 1 + max((layers[source] for source in sources[vertex]), default=-1)
        while loads[layer] and loads[layer] + width > widest:
            layer += 1
        layers[vertex] = layer
        loads[layer] += width
        for target in targets[vertex]:
            waiting[target] -= 1
            if not waiting[target]:
                heapq.heappush(ready, (-heights[target], target))
    layers[list(last)] = layers.max(initial=0)
    return layers


def _neighbours(count: int, edges: Iterable[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """The sources and the targets of every vertex."""
    sources: list[list[int]] = [[] for _ in range(count)]
    targets: list[list[int]] = [[] for _ in range(count)]
    for source, target in edges:
        sources[target].append(source)
        targets[source].append(target)
    return sources, targets


def _depth_first(targets: Sequence[Sequence[int]]) -> list[int]:
    """All vertices in depth-first order, whatever the direction of edges."""
    beside: list[list[int]] = [[] for _ in targets]
    for source, below in enumerate(targets):
        for target in below:
            beside[source].append(target)
            beside[target].append(source)
    order: dict[int, None] = {}
    for root in range(len(targets)):
        if root in order:
            continue
        order[root] = None
        stack = [iter(beside[root])]
        while stack:
            following = next((vertex for vertex in stack[-1] if vertex not in order), None)
            if following is None:
                stack.pop()
            else:
                order[following] = None
                stack.append(iter(beside[following]))
    return list(order)


def _order(rows: Sequence[int], segments: np.ndarray) -> list[list[int]]:
    """Rows of vertices from left to right with few crossings; rows of a single vertex part the problem."""
    sources, targets = _neighbours(len(rows), segments.tolist())
    levels: list[list[int]] = [[] for _ in range(max(rows) + 1)]
    for vertex in _depth_first(targets):
        levels[rows[vertex]].append(vertex)
    cuts = [0, *(row for row, level in enumerate(levels) if len(level) == 1 and row), len(levels)]
    order: list[list[int]] = []
    for first, last in itertools.pairwise(cuts):
        order += _uncrossed(levels[first : last + 1], sources, targets)[: last - first]
    return order


def _uncrossed(
    levels: list[list[int]], sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> list[list[int]]:
    """Consecutive rows in an order with few crossings: sweeps of barycentres, swaps, and a few fresh starts."""
    row = {vertex: number for number, level in enumerate(levels) for vertex in level}
    above = {vertex: [other for other in sources[vertex] if other in row] for vertex in row}
    below = {vertex: [other for other in targets[vertex] if other in row] for vertex in row}
    segments = [(vertex, other) for vertex in row for other in below[vertex]]
    rng = np.random.default_rng(0)
    small = len(row) <= _SMALL
    best, fewest = levels, _crossings(levels, segments)
    for start in range(_RESTARTS if small else 1):
        order = [rng.permutation(level).tolist() for level in levels] if start else [list(level) for level in levels]
        for sweep in range(_SWEEPS):
            if not fewest:
                return best
            down = sweep % 2 == 0
            for level in order if down else order[::-1]:
                _sort(order, level, above if down else below)
            if small:
                _transpose(order, above, below)
            crossings = _crossings(order, segments)
            if crossings < fewest:
                best, fewest = [list(level) for level in order], crossings
    return best


def _sort(order: list[list[int]], level: list[int], neighbours: Mapping[int, list[int]]) -> None:
    """Sorts a row by the mean position of the neighbours in the row before; the vertices without any stay."""
    position = {vertex: number for line in order for number, vertex in enumerate(line)}
    centre = {
        vertex: np.mean([position[other] for other in neighbours[vertex]]) if neighbours[vertex] else position[vertex]
        for vertex in level
    }
    level.sort(key=centre.__getitem__)


def _transpose(order: list[list[int]], above: Mapping[int, list[int]], below: Mapping[int, list[int]]) -> None:
    """Swaps neighbours in a row as long as that removes crossings."""
    position = {vertex: number for line in order for number, vertex in enumerate(line)}
    improved = True
    while improved:
        improved = False
        for line in order:
            for number in range(len(line) - 1):
                left, right = line[number : number + 2]
                difference = 0
                for side in (above, below):
                    for first in side[left]:
                        for second in side[right]:
                            difference += (position[second] > position[first]) - (position[second] < position[first])
                if difference < 0:
                    line[number : number + 2] = right, left
                    position[left], position[right] = number + 1, number
                    improved = True


def _crossings(order: list[list[int]], segments: Sequence[tuple[int, int]]) -> int:
    """Pairs of segments between the same two rows that cross."""
    position = {vertex: number for line in order for number, vertex in enumerate(line)}
    row = {vertex: number for number, line in enumerate(order) for vertex in line}
    between = collections.defaultdict(list)
    for source, target in segments:
        between[row[source]].append((position[source], position[target]))
    total = 0
    for pairs in between.values():
        upper, lower = np.array(pairs).T
        total += int(((upper[:, None] - upper) * (lower[:, None] - lower) < 0).sum()) // 2
    return total


def _abscissae(order: list[list[int]], widths: np.ndarray, segments: np.ndarray, real: int) -> np.ndarray:
    """The x of every vertex: lines as straight as boxes allow that keep their distance.

    The linear program minimises the sum over segments of w (|dx| + sum_b max(|dx| - b, 0)). The weight w is largest
    between two dummy vertices; the bends b make a vertex with several neighbours stand between them.
    """
    count, edges = len(widths), len(segments)
    rows, bounds = [], []
    for line in order:
        for left, right in itertools.pairwise(line):
            rows.append((left, right))
            gap = _BOX_GAP if left < real and right < real else _LINE_GAP
            bounds.append(-(widths[left] + widths[right]) / 2 - gap)
    weights = np.array(_STRAIGHTNESS)[(segments >= real).sum(axis=1)]
    leaving, entering = (np.bincount(segments[:, side], minlength=count) for side in (0, 1))
    weights[(leaving[segments[:, 0]] == 1) & (entering[segments[:, 1]] == 1) & (segments < real).all(axis=1)] = _CHAIN
    # Columns: x, then |dx|, then the excess over every bend. Rows: distances, both signs of dx, excesses.
    apart = _incidence(np.array(rows).reshape(-1, 2), count)
    across, one = _incidence(segments, count), sparse.identity(edges)
    blocks = [[apart, *[None] * (1 + len(_BENDS))]]
    blocks += [[sign * across, -one, *[None] * len(_BENDS)] for sign in (1, -1)]
    for number in range(len(_BENDS)):
        blocks.append([None, one, *(-one if other == number else None for other in range(len(_BENDS)))])
    limits = np.concatenate([bounds, np.zeros(2 * edges), np.repeat(_BENDS, edges)])
    cost = np.concatenate([np.zeros(count), *[weights] * (1 + len(_BENDS))])
    free, positive = [(None, None)] * count, [(0, None)] * (len(cost) - count)
    if not len(limits):
        return np.zeros(count)
    return linprog(cost, sparse.bmat(blocks, format="csr"), limits, bounds=free + positive, method="highs-ds").x[:count]


def _incidence(pairs: np.ndarray, count: int) -> sparse.csr_matrix:
    """A matrix `[pairs, count]` that takes the second of each pair of numbers from the first."""
    rows = np.repeat(np.arange(len(pairs)), 2)
    values = np.tile([1.0, -1.0], len(pairs))
    return sparse.csr_matrix((values, (rows, pairs.ravel())), shape=(len(pairs), count))


def _gaps(rows: np.ndarray, lengths: np.ndarray, count: int) -> np.ndarray:
    """The distance of each row from the next: more for lines that go far to the side, and for a crowd of them.

    Args:
      rows: row above every segment.
      lengths: horizontal length of every segment.
      count: number of rows.
    """
    furthest, crowd = np.zeros(count), np.zeros(count)
    np.maximum.at(furthest, rows, lengths)
    np.add.at(crowd, rows, lengths > 0.5)
    return np.minimum(_ROW_GAP + _SLOPE * furthest + _CROWD * crowd, _LARGEST_GAP)


def _ports(
    order: list[list[int]], x: np.ndarray, sizes: np.ndarray, segments: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where each segment leaves the lower border of its source and meets the upper border of its target.

    A segment is vertical where its ends stand above each other and no other segment is in the way.
    """
    position = np.zeros(len(x), int)
    for line in order:
        position[line] = range(len(line))
    reach = np.zeros(len(x))
    reach[: len(sizes)] = _REACH * sizes[:, 0]
    ends = x[segments].astype(float)
    goals = ends.mean(axis=1)
    for side in (0, 1):
        # The nearest x that both ends can reach; if there is none, the x nearest to the other end.
        for vertices in (segments[:, 1 - side], segments[:, side]):
            goals = np.clip(goals, x[vertices] - reach[vertices], x[vertices] + reach[vertices])
        straight = np.abs(goals - x[segments[:, 1 - side]]) <= reach[segments[:, 1 - side]] + 1e-9
        groups = collections.defaultdict(list)
        for number, vertex in enumerate(segments[:, side].tolist()):
            if vertex < len(sizes):
                groups[vertex].append(number)
        for vertex, numbers in groups.items():
            numbers.sort(key=lambda number: position[segments[number, 1 - side]])
            weights = np.where(straight[numbers], 20.0, 1.0)
            ends[numbers, side] = _apart(goals[numbers], weights, x[vertex] - reach[vertex], x[vertex] + reach[vertex])
        goals = ends[:, 0].copy()
    return ends[:, 0], ends[:, 1]


def _straighten(
    chains: Sequence[Sequence[int]],
    order: list[list[int]],
    x: np.ndarray,
    widths: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
) -> None:
    """Moves vertical stretches of long edges by a little, to the port of either end, where there is room.

    Args:
      chains: vertices of every edge, dummy vertices included.
      order: rows of vertices.
      x: position of every vertex; changed in place.
      widths: width of every vertex.
      starts: x of the upper end of every segment, chain by chain; changed in place.
      ends: x of the lower end of every segment; changed in place.
    """
    beside = collections.defaultdict(list)
    for left, right in (pair for line in order for pair in itertools.pairwise(line)):
        beside[left].append(right)
        beside[right].append(left)
    last = -1
    for chain in chains:
        first, last = last + 1, last + len(chain) - 1
        dummies = list(chain[1:-1])
        if not dummies or np.ptp(x[dummies]) > 1e-6:
            continue
        now = x[dummies[0]]
        for goal in sorted((starts[first], ends[last]), key=lambda goal: abs(goal - now)):
            neighbours = [other for vertex in dummies for other in beside[vertex]]
            room = np.abs(x[neighbours] - goal) - widths[neighbours] / 2 >= _LEAST_GAP
            same_side = (x[neighbours] > now) == (x[neighbours] > goal)
            if abs(goal - now) < _PORT_GAP and (room & same_side).all():
                x[dummies] = starts[first + 1 : last + 1] = ends[first:last] = goal
                break


def _apart(goals: np.ndarray, weights: np.ndarray, low: float, high: float) -> np.ndarray:
    """The increasing numbers between two bounds nearest to `goals` `[n]` that keep a distance from each other."""
    steps = np.arange(len(goals)) * min(_PORT_GAP, (high - low) / max(len(goals) - 1, 1))
    return np.clip(isotonic_regression(goals - steps, weights=weights).x, low, high - steps[-1]) + steps


def line_to(points: list[np.ndarray], end: Sequence[float]) -> None:
    """Continues the control points of a curve by a straight piece, unless the end is reached."""
    start, end = points[-1], np.asarray(end, float)
    if np.abs(end - start).max() > 1e-9:
        points += [start + (end - start) / 3, start + (end - start) * 2 / 3, end]


def _bend_to(points: list[np.ndarray], end: Sequence[float]) -> None:
    """Goes on with a curve that is vertical at both ends."""
    start, end = points[-1], np.asarray(end, float)
    across, down = np.abs(end - start)
    # The farther a line goes to the side, the more it is a slanted line with round ends: lines side by side stay apart.
    lever = (0.5 - 0.2 * min(across / 2, 1)) * down
    points += [np.array([start[0], start[1] + lever]), np.array([end[0], end[1] - lever]), end]


def _shifted(layout: Layout, sizes: np.ndarray) -> Layout:
    """The layout with its left end at x = 0, and its width."""
    edges = [layout.centres[:, 0] - sizes[:, 0] / 2, layout.centres[:, 0] + sizes[:, 0] / 2]
    reach = np.concatenate([*edges, *(curve[:, 0] for curve in layout.curves)])
    shift = np.array([reach.min(), 0.0])
    curves = tuple(curve - shift for curve in layout.curves)
    extent = (float(np.ptp(reach)), layout.extent[1])
    return Layout(layout.centres - shift, curves, layout.layers, extent)
