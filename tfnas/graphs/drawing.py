"""Pictures of computation graphs, in which repeated blocks are drawn once."""

from __future__ import annotations

import pathlib

import matplotlib.patches
import matplotlib.pyplot as plt

from tfnas.errors import ConfigurationError
from tfnas.graphs.boxes import FONT_SIZE, LARGE_BLOCK, Boxes, frame_corners
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.folding import fold
from tfnas.reports import diagrams, palette
from tfnas.reports.figures import save_figure

MOST_BOXES = 2000
"""Largest number of boxes of a picture."""


def draw_computation_graph(graph: ComputationGraph, path: pathlib.Path, *, title: str | None = None) -> None:
    """Draws a network from input (top left) to output, as PNG and as SVG.

    Blocks that repeat in a row stand in a frame with their number; a block of more than 60 operators, none of which
    all data passes, is a box that counts them.

    Args:
      graph: graph to draw.
      path: file of the picture; the suffix is replaced.
      title: text above the picture; None for the graph's name and size.

    Raises:
      ConfigurationError: more than `MOST_BOXES` boxes.
    """
    blocks = [block for group in fold(graph) for block in group.blocks]
    count = sum(1 if len(block) > LARGE_BLOCK else len(block) for block in blocks)
    if count > MOST_BOXES:
        raise ConfigurationError(
            f"{graph.name}: a picture of {count:,} boxes can't be read, expected at most {MOST_BOXES:,}; "
            "a page (--page) shows larger networks"
        )
    boxes = Boxes(graph)
    layout = boxes.layout
    figure, axes = diagrams.canvas(*layout.extent)
    for items, repeats in boxes.frames:
        _draw_frame(axes, boxes, items, repeats)
    for curve in layout.curves:
        diagrams.draw_edge(axes, curve)
    for centre, size, text, colour in zip(layout.centres, boxes.sizes, boxes.texts, boxes.colours, strict=True):
        diagrams.draw_box(axes, centre, size, text, colour, font_size=FONT_SIZE)
    default = f"{graph.name}: {graph.num_nodes} operators, {graph.total_parameters / 1e6:.2f} M parameters"
    axes.set_title(title or default, fontsize=9, parse_math=False, pad=10)
    families = [family for family in palette.FAMILIES if family in boxes.families]
    handles = [
        matplotlib.patches.Patch(facecolor=palette.FAMILIES[family][0], edgecolor=palette.LINE, label=family)
        for family in families
    ]
    columns = max(int(layout.extent[0] / 1.5), 2)
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, frameon=False, fontsize=7)
    save_figure(figure, path)


def _draw_frame(axes: plt.Axes, boxes: Boxes, items: list[int], repeats: int) -> None:
    """A dashed frame, with the number of repetitions at its right."""
    low, high = frame_corners(boxes, items)
    frame = matplotlib.patches.FancyBboxPatch(
        low, *(high - low), boxstyle="round,pad=0,rounding_size=0.08", facecolor="#f7f8fb", edgecolor=palette.FRAME,
        linestyle=(0, (4, 2)), linewidth=0.8, zorder=-1, clip_on=False,
    )  # fmt: skip
    axes.add_patch(frame)
    axes.text(
        high[0] + 0.04, low[1], f"{palette.TIMES} {repeats}", ha="left", va="top", fontsize=9, color=palette.FRAME
    )
