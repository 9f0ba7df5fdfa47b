"""Pictures of cells: boxes for operations, arrows for data; what does nothing is faint and dashed."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib

if "MPLBACKEND" not in os.environ:  # a notebook has decided where its figures appear
    matplotlib.use("Agg")

import matplotlib.patches
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.path import Path as MplPath

from tfnas.reports import layout as layouts
from tfnas.reports import palette
from tfnas.reports.columns import in_columns
from tfnas.reports.figures import save_figure
from tfnas.reports.texts import text_width

_FONT_SIZE = 8.0
_BOX_HEIGHT, _PADDING, _PORT = 0.235, 0.17, 0.09
_WIDEST_ROW = 3.7
_PAGE, _PANEL_GAP, _TITLE_HEIGHT = 7.5, 0.45, 0.3
_LINE_WIDTH = 1.0
_DOTS_PER_INCH = 220


@dataclasses.dataclass(frozen=True)
class Diagram:
    """What a picture of a cell shows.

    Attributes:
      operations: V names, which decide the colours.
      labels: V texts.
      edges: pairs (source, target) of vertices.
      dead_vertices: vertices that contribute nothing to the output.
      dead_edges: edges that contribute nothing to the output.
      plain_edges: edges without an arrowhead, for lines that go on behind a box.
      columns: column of every vertex; empty for a single column.
      room: texts that every box of an operation has room for, so that cells of one graph have one layout.
      title: text above the cell.
    """

    operations: tuple[str, ...]
    labels: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    dead_vertices: frozenset[int] = frozenset()
    dead_edges: frozenset[tuple[int, int]] = frozenset()
    plain_edges: frozenset[tuple[int, int]] = frozenset()
    columns: tuple[int, ...] = ()
    room: tuple[str, ...] = ()
    title: str = ""

    @functools.cached_property
    def sizes(self) -> np.ndarray:
        """Width and height of every box in inches, `[V, 2]`: room for the text and for the arrows."""
        sizes = np.full((len(self.labels), 2), _BOX_HEIGHT)
        degrees = np.zeros((2, len(self.labels)), int)
        for source, target in self.edges:
            degrees[0, source] += 1
            degrees[1, target] += 1
        for vertex, label in enumerate(self.labels):
            texts = [label, *(self.room if label in self.room else ())]
            width = max(text_width(text, _FONT_SIZE) for text in texts) + _PADDING
            sizes[vertex, 0] = max(width, _PORT * (degrees[:, vertex].max() + 1))
        return sizes

    @functools.cached_property
    def layout(self) -> layouts.Layout:
        """Positions of boxes and curves of edges, in inches."""
        if self.columns:
            return in_columns(self.sizes, self.edges, self.columns)
        return layouts.layered(self.sizes, self.edges, widest=_WIDEST_ROW)


def operations_on_vertices(operations: Sequence[str], edges: Sequence[tuple[int, int]], **fields: Any) -> Diagram:
    """A cell whose vertices are operations.

    An edge is dead unless it lies on a path from an input to an output that no `none` interrupts. Inputs and outputs
    are the vertices of these names, or else the vertices without predecessors and without successors.

    Args:
      operations: names of the V operations.
      edges: pairs (source, target) of vertices.
      **fields: further fields of `Diagram`.
    """
    sources, targets = {source for source, _ in edges}, {target for _, target in edges}
    ends = [vertex for vertex, name in enumerate(operations) if palette.family(name) == "input, output"]
    inputs = [vertex for vertex in ends if vertex not in targets] or sorted(set(range(len(operations))) - targets)
    outputs = [vertex for vertex in ends if vertex not in sources] or sorted(set(range(len(operations))) - sources)
    nothing = {vertex for vertex, name in enumerate(operations) if palette.family(name) == "none"}
    links = [(a, b) for a, b in edges if a not in nothing and b not in nothing]
    useful = (_reached(inputs, links) & _reached(outputs, [(b, a) for a, b in links])) - nothing
    dead = frozenset(set(range(len(operations))) - useful - set(ends))
    return Diagram(
        tuple(operations),
        tuple(palette.label(name) for name in operations),
        tuple(edges),
        dead_vertices=dead,
        dead_edges=frozenset((a, b) for a, b in edges if a not in useful or b not in useful),
        **fields,
    )


def _reached(starts: Iterable[int], edges: Sequence[tuple[int, int]]) -> set[int]:
    """Some vertices, and the vertices that paths from them lead to."""
    reached, waiting = set(starts), list(starts)
    while waiting:
        vertex = waiting.pop()
        further = {target for source, target in edges if source == vertex} - reached
        reached |= further
        waiting += further
    return reached


def operations_on_edges(nodes: Sequence[str], edges: Sequence[tuple[int, int, str | None]], **fields: Any) -> Diagram:
    """A cell whose edges are operations, with the operation in a box on its edge.

    Args:
      nodes: names of the nodes.
      edges: source, target and operation; None for an edge that passes its data on.
      **fields: further fields of `Diagram`.
    """
    operations, links, plain = list(nodes), [], set()
    for source, target, operation in edges:
        if operation is None:
            links.append((source, target))
            continue
        links += [(source, len(operations)), (len(operations), target)]
        plain.add((source, len(operations)))
        operations.append(operation)
    return operations_on_vertices(operations, links, plain_edges=frozenset(plain), **fields)


def draw(
    diagrams: Sequence[Diagram],
    path: pathlib.Path,
    *,
    title: str | None = None,
    columns: int | None = None,
) -> None:
    """Draws cells side by side in their natural size, 8 points for text, as PNG and as SVG.

    Args:
      diagrams: cells.
      path: file of the picture; the suffix is replaced.
      title: text above the picture; None for none.
      columns: cells in a row of the picture; None for as many as fit on a page.
    """
    if columns is None:
        fitting = int((_PAGE + _PANEL_GAP) / (max(diagram.layout.extent[0] for diagram in diagrams) + _PANEL_GAP))
        columns = math.ceil(len(diagrams) / math.ceil(len(diagrams) / max(fitting, 1)))
    rows = [diagrams[start : start + columns] for start in range(0, len(diagrams), columns)]
    widths = [max(row[column].layout.extent[0] for row in rows if column < len(row)) for column in range(len(rows[0]))]
    head = _TITLE_HEIGHT if any(diagram.title for diagram in diagrams) else 0.0
    heights = [head + max(diagram.layout.extent[1] for diagram in row) for row in rows]
    width = sum(widths) + _PANEL_GAP * (len(widths) - 1)
    height = sum(heights) + _PANEL_GAP * (len(rows) - 1)
    figure, axes = canvas(width, height)
    y = 0.0
    for row, row_height in zip(rows, heights, strict=True):
        x = 0.0
        for diagram, column_width in zip(row, widths, strict=False):
            _write(axes, x + column_width / 2, y, diagram.title, va="top")
            offset = np.array([x + (column_width - diagram.layout.extent[0]) / 2, y + head])
            draw_diagram(axes, diagram, offset)
            x += column_width + _PANEL_GAP
        y += row_height + _PANEL_GAP
    _write(axes, width / 2, -0.12, "\n".join(_wrapped(title or "", max(width, 2.6))), va="bottom")
    save_figure(figure, path, dots_per_inch=_DOTS_PER_INCH)


def canvas(width: float, height: float) -> tuple[plt.Figure, plt.Axes]:
    """A figure whose axes measure inches from the upper left corner."""
    figure = plt.figure(figsize=(max(width, 0.1), max(height, 0.1)))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, max(width, 0.1)), ylim=(max(height, 0.1), 0))
    axes.axis("off")
    return figure, axes


def draw_diagram(axes: plt.Axes, diagram: Diagram, offset: np.ndarray) -> None:
    """Draws a cell into axes that measure inches.

    Args:
      axes: axes of `canvas`.
      diagram: cell.
      offset: x and y of the upper left corner.
    """
    for edge, curve in zip(diagram.edges, diagram.layout.curves, strict=True):
        dead = edge in diagram.dead_edges
        draw_edge(axes, curve + offset, dead=dead, head=edge not in diagram.plain_edges)
    for vertex, (centre, size) in enumerate(zip(diagram.layout.centres, diagram.sizes, strict=True)):
        dead = vertex in diagram.dead_vertices
        colour = "white" if dead else palette.colour(diagram.operations[vertex])
        draw_box(axes, centre + offset, size, diagram.labels[vertex], colour, dead=dead)


def draw_box(
    axes: plt.Axes,
    centre: np.ndarray,
    size: np.ndarray,
    text: str,
    colour: str | tuple[float, ...],
    *,
    dead: bool = False,
    font_size: float = _FONT_SIZE,
) -> None:
    """A labelled box.

    Args:
      axes: axes of `canvas`.
      centre: x and y of the middle.
      size: width and height.
      text: label.
      colour: colour of the inside.
      dead: whether the box is faint and dashed.
      font_size: size of the text in points.
    """
    box = matplotlib.patches.FancyBboxPatch(
        centre - size / 2, *size, boxstyle="round,pad=0,rounding_size=0.06", facecolor=colour,
        edgecolor=palette.FAINT if dead else palette.LINE, linewidth=0.7, linestyle=(0, (3, 2)) if dead else "-",
        zorder=3, clip_on=False,
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(
        *centre, text, ha="center", va="center_baseline" if "\n" not in text else "center", fontsize=font_size,
        linespacing=1.0, color=palette.FAINT if dead else palette.INK, zorder=4,
    )  # fmt: skip


def _write(axes: plt.Axes, x: float, y: float, text: str, **fields: str) -> None:
    """Writes plain text, centred at x."""
    axes.text(x, y, text, ha="center", fontsize=_FONT_SIZE, color=palette.INK, parse_math=False, **fields)


def draw_edge(axes: plt.Axes, curve: np.ndarray, *, dead: bool = False, head: bool = True) -> None:
    """A line whose arrowhead ends exactly where the curve ends.

    Args:
      axes: axes of `canvas`.
      curve: control points `[3 K + 1, 2]`; the last piece is a straight line at least as long as an arrowhead.
      dead: whether the line is faint and dashed.
      head: whether the line has an arrowhead.
    """
    colour = palette.FAINT if dead else palette.LINE
    tip = curve[-1]
    if head:
        direction = (tip - curve[-2]) / np.linalg.norm(tip - curve[-2])
        base = tip - layouts.ARROW_LENGTH * direction
        side = layouts.ARROW_WIDTH / 2 * np.array([-direction[1], direction[0]])
        axes.add_patch(
            matplotlib.patches.Polygon(
                [tip, base + side, base - side], color=colour, linewidth=0, zorder=2, clip_on=False
            )
        )
        curve = np.concatenate([curve[:-1], [base + 0.2 * (tip - base)]])
    path = MplPath(curve, [MplPath.MOVETO, *[MplPath.CURVE4] * (len(curve) - 1)])
    line = matplotlib.patches.PathPatch(
        path, facecolor="none", edgecolor=colour, linewidth=_LINE_WIDTH, linestyle=(0, (3, 2)) if dead else "-",
        capstyle="butt", zorder=0 if dead else 1, clip_on=False,
    )  # fmt: skip
    axes.add_patch(line)


def _wrapped(text: str, width: float) -> list[str]:
    """Lines of a title, broken behind spaces, commas and plus signs."""
    lines: list[str] = []
    for line in text.split("\n"):
        lines.append("")
        for word in re.findall(r"[^ ,+]*[ ,+]*", line):
            if lines[-1] and text_width((lines[-1] + word).rstrip(), _FONT_SIZE) > width:
                lines.append("")
            lines[-1] += word
    return [line.strip() for line in lines]
