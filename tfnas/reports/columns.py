"""Layouts in columns side by side, for long networks; lines from column to column run where no box stands."""

import collections
import dataclasses
import itertools
from collections.abc import Hashable, Sequence

import numpy as np

from tfnas.reports.layout import Layout, layered, line_to

_MARGIN, _TRACK_GAP, _RADIUS = 0.14, 0.07, 0.08


@dataclasses.dataclass
class _Column:
    """A column: boxes, a point `("in", v)` for every vertex v that feeds it, and `("out", v)` where v leaves it.

    Attributes:
      layout: positions relative to the column.
      rows: row of every vertex and point in the layout.
      curves: curve of every pair of vertices or points.
      offset: x and y of the column on the page.
    """

    layout: Layout
    rows: dict[Hashable, int]
    curves: dict[tuple[Hashable, Hashable], np.ndarray]
    offset: np.ndarray

    def centre(self, vertex: Hashable) -> np.ndarray:
        """Position on the page."""
        return self.layout.centres[self.rows[vertex]] + self.offset

    def curve(self, source: Hashable, target: Hashable) -> np.ndarray:
        """Control points on the page."""
        return self.curves[source, target] + self.offset


def in_columns(
    sizes: np.ndarray, edges: Sequence[tuple[int, int]], columns: Sequence[int], *, gap: float = 0.34
) -> Layout:
    """A layout in several columns side by side, each of them layered.

    A vertex that feeds later columns has a line that leaves its column at the bottom, rises beside the later column and
    enters it at the top.

    Args:
      sizes: width and height of every box in inches, `[V, 2]`.
      edges: distinct pairs (source, target); a target never stands in an earlier column than its source.
      columns: column of every vertex, from 0 on without gaps.
      gap: distance of two columns without lines between them, in inches.
    """
    sizes, home = np.asarray(sizes, float).reshape(-1, 2), [int(column) for column in columns]
    links = sorted({(source, home[target]) for source, target in edges if home[source] != home[target]})
    tracks = _tracks([(home[source], target) for source, target in links])
    margin = _MARGIN + _TRACK_GAP * (max(tracks) + 1) if links else 0.0
    pages: list[_Column] = []
    x = 0.0
    for number in range(max(home, default=0) + 1):
        page = _column(number, sizes, edges, home, links)
        x += gap + _TRACK_GAP * sum(target == number for _, target in links) if number else 0.0
        page.offset = np.array([x, margin])
        x += page.layout.extent[0]
        pages.append(page)
    bottom = margin + max(page.layout.extent[1] for page in pages)
    ways, entering = {}, collections.Counter()
    for track, (source, target) in zip(tracks, links, strict=True):
        start, end = pages[home[source]].centre(("out", source)), pages[target].centre(("in", source))
        gutter = pages[target].offset[0] - gap / 2 - entering[target] * _TRACK_GAP
        entering[target] += 1
        low, high = bottom + _MARGIN + track * _TRACK_GAP, margin - _MARGIN - track * _TRACK_GAP
        ways[source, target] = _rounded([start, (start[0], low), (gutter, low), (gutter, high), (end[0], high), end])
    curves = []
    for source, target in edges:
        first, last = pages[home[source]], pages[home[target]]
        if first is last:
            curves.append(first.curve(source, target))
            continue
        pieces = first.curve(source, ("out", source)), ways[source, home[target]], last.curve(("in", source), target)
        curves.append(np.concatenate([pieces[0], pieces[1][1:], pieces[2][1:]]))
    centres = [pages[column].centre(vertex) for vertex, column in enumerate(home)]
    layers = [pages[column].layout.layers[pages[column].rows[vertex]] for vertex, column in enumerate(home)]
    return Layout(np.array(centres).reshape(-1, 2), tuple(curves), np.array(layers, int), (x, bottom + margin))


def _column(
    number: int,
    sizes: np.ndarray,
    edges: Sequence[tuple[int, int]],
    home: Sequence[int],
    links: Sequence[tuple[int, int]],
) -> _Column:
    """The layout of a column by itself.

    Args:
      number: number of the column.
      sizes: width and height of every box, `[V, 2]`.
      edges: pairs (source, target).
      home: column of every vertex.
      links: pairs of a vertex and a later column that it feeds.
    """
    vertices = [vertex for vertex, column in enumerate(home) if column == number]
    ways_in = [("in", source) for source, target in links if target == number]
    ways_out = [("out", source) for source in dict.fromkeys(source for source, _ in links) if home[source] == number]
    rows = {vertex: row for row, vertex in enumerate([*ways_in, *vertices, *ways_out])}
    pairs = [(a if home[a] == number else ("in", a), b) for a, b in edges if home[b] == number]
    pairs += [(way[1], way) for way in ways_out]
    points = np.zeros((len(ways_in), 2)), sizes[vertices], np.zeros((len(ways_out), 2))
    last = [rows[way] for way in ways_out]
    layout = layered(np.concatenate(points), [(rows[a], rows[b]) for a, b in pairs], last=last)
    return _Column(layout, rows, dict(zip(pairs, layout.curves, strict=True)), np.zeros(2))


def _tracks(spans: Sequence[tuple[int, int]]) -> list[int]:
    """The smallest numbers such that spans [first, last) that overlap have different ones."""
    tracks: list[int] = []
    for number, (first, last) in enumerate(spans):
        taken = {track for track, (a, b) in zip(tracks, spans[:number], strict=True) if a < last and first < b}
        tracks.append(next(track for track in range(number + 1) if track not in taken))
    return tracks


def _rounded(corners: Sequence[Sequence[float]]) -> np.ndarray:
    """Control points of a line of horizontal and vertical pieces with rounded corners."""
    corners = [np.asarray(corner, float) for corner in corners]
    points = [corners[0]]
    for (before, corner), (_, after) in itertools.pairwise(itertools.pairwise(corners)):
        lengths = np.linalg.norm(corner - before), np.linalg.norm(after - corner)
        radius = min(_RADIUS, lengths[0] / 2, lengths[1] / 2)
        if radius < 1e-6:
            continue
        line_to(points, corner - radius * (corner - before) / lengths[0])
        out = corner + radius * (after - corner) / lengths[1]
        points += [points[-1] + 0.55 * (corner - points[-1]), out + 0.55 * (corner - out), out]
    line_to(points, corners[-1])
    return np.array(points)
