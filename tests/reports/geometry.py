"""Reads boxes and lines from a drawn figure and checks that every line can be seen and followed."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path
from scipy.spatial import cKDTree

SPACING = 0.01  # inches between sampled points
CLEARANCE = 0.02  # inches, more than the width of a line
VISIBLE = 0.05  # inches that an edge must have for itself
TOLERANCE = 1e-6


def drawn(axes: plt.Axes) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray | None]]]:
    """Boxes `[V, 4]` as left, upper, right and lower border; per line its points `[n, 2]`, and the arrow's tip."""
    boxes, lines, tip = [], [], None
    for patch in axes.patches:
        if isinstance(patch, Polygon):
            tip = patch.get_xy()[0]
        elif isinstance(patch, PathPatch):
            lines.append((points(patch.get_path()), tip))
            tip = None
        elif isinstance(patch, FancyBboxPatch) and patch.get_zorder() > 0:
            x, y = patch.get_x(), patch.get_y()
            boxes.append((x, y, x + patch.get_width(), y + patch.get_height()))
    return np.array(boxes).reshape(-1, 4), lines


def points(path: Path) -> np.ndarray:
    """Points at equal distances on a path of cubic Bezier curves, by de Casteljau's construction."""
    assert set(path.codes[1:]) == {Path.CURVE4}
    t = np.linspace(0, 1, 30)[:, None, None]
    corners = [path.vertices[start : len(path.vertices) - 3 + start : 3] for start in range(4)]
    while len(corners) > 1:
        corners = [(1 - t) * first + t * second for first, second in itertools.pairwise(corners)]
    dense = corners[0].transpose(1, 0, 2).reshape(-1, 2)
    steps = np.linalg.norm(np.diff(dense, axis=0), axis=1)
    lengths = np.concatenate([[0], np.cumsum(steps)])
    even = np.linspace(0, lengths[-1], max(int(lengths[-1] / SPACING), 2))
    return np.stack([np.interp(even, lengths, axis) for axis in dense.T], axis=1)


def check(axes: plt.Axes, edges: list[tuple[int, int]]) -> None:
    """Fails unless lines start and end on the borders of their boxes, miss all boxes, and show some line of their own.

    Args:
      axes: axes with a box per vertex and a line per edge, in the order of `edges`.
      edges: pairs (source, target) of vertices.
    """
    boxes, lines = drawn(axes)
    assert len(lines) == len(edges)
    overlap = (boxes[:, None, :2] < boxes[None, :, 2:] - TOLERANCE).all(axis=2)
    assert (overlap & overlap.T == np.eye(len(boxes), dtype=bool)).all(), "two boxes overlap"
    for (source, target), (line, tip) in zip(edges, lines, strict=True):
        left, _, right, lower = boxes[source]
        assert left <= line[0, 0] <= right
        assert abs(line[0, 1] - lower) < TOLERANCE, "a line does not start at its source"
        left, upper, right, _ = boxes[target]
        end = line[-1] if tip is None else tip
        assert left <= end[0] <= right
        assert abs(end[1] - upper) < TOLERANCE, "an arrow does not end at its target"
        assert np.abs(line[-1] - end).max() < 0.1
    everything = [line for line, _ in lines]
    for number, line in enumerate(everything):
        inside = (line[:, None] > boxes[:, :2] + TOLERANCE) & (line[:, None] < boxes[:, 2:] - TOLERANCE)
        assert not inside.all(axis=2).any(), f"edge {edges[number]} runs under a box"
        rest = everything[:number] + everything[number + 1 :]
        alone = np.ones(len(line), bool)
        if rest:
            alone = cKDTree(np.concatenate(rest)).query(line)[0] > CLEARANCE
        longest = max((len(run) for run in "".join("x" if free else " " for free in alone).split()), default=0)
        assert longest * SPACING >= VISIBLE, f"edge {edges[number]} can't be told from another edge"
