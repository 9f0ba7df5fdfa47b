"""Pictures of computation graphs, in which repeated blocks are drawn once."""

from __future__ import annotations

import collections
import pathlib

import matplotlib.patches
import matplotlib.pyplot as plt
from matplotlib.path import Path as MplPath

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.folding import Group, depths, fold
from tfnas.reports import tables
from tfnas.reports.figures import save_figure

_KINDS = {
    "convolution": ("#9ecae1", {"conv", "depthwise_conv", "conv_transpose"}),
    "matrix product": ("#fdae6b", {"matmul", "embedding"}),
    "norm": ("#c7e9c0", {"batch_norm", "layer_norm", "group_norm", "rms_norm", "l2_norm", "lrn"}),
    "activation": (
        "#fcbba1",
        {"relu", "relu6", "sigmoid", "tanh", "swish", "gelu", "softmax", "leaky_relu", "prelu", "elu", "clip"},
    ),
    "pooling": ("#dadaeb", {"max_pool", "avg_pool", "mean", "sum", "max", "global"}),
    "joining": ("#fff7bc", {"add", "mul", "concat", "sub", "div"}),
    "input, output": ("#d9d9d9", {"input", "output"}),
}
_OTHER = "#f7f7f7"
_LARGE_BLOCK = 60
_ROWS_PER_COLUMN = 34
_WIDTH, _HEIGHT = 2.1, 0.42


def draw_computation_graph(graph: ComputationGraph, path: pathlib.Path, *, title: str | None = None) -> None:
    """Draws a network from input (top left) to output, as PNG and as SVG.

    Blocks that repeat in a row stand in a frame with their number; a block of more than 60 operators, none of which
    all data passes, is a box that counts them.

    Args:
      graph: graph to draw.
      path: file of the picture; the suffix is replaced.
      title: text above the picture; None for the graph's name and size.
    """
    layout = _Layout(graph)
    figure, axes = plt.subplots(figsize=(1 + _WIDTH * layout.width, 1 + _HEIGHT * layout.height))
    layout.draw(axes)
    axes.set(xlim=(-0.2, layout.width + 0.2), ylim=(layout.height + 0.3, -0.8))
    axes.axis("off")
    default = f"{graph.name}: {graph.num_nodes} operators, {graph.total_parameters / 1e6:.2f} M parameters"
    axes.set_title(title or default, fontsize=10, parse_math=False)
    present = {_kind(name) for name in graph.operator_names}
    handles = [
        matplotlib.patches.Patch(facecolor=colour, edgecolor="#666666", label=kind)
        for kind, (colour, _) in _KINDS.items()
        if kind in present
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, frameon=False, fontsize=8)
    save_figure(figure, path)


def _kind(name: str) -> str:
    return next((kind for kind, (_, names) in _KINDS.items() if name in names), "other")


class _Layout:
    """Positions of boxes in units of a box: columns of the page from left to right, rows from top to bottom."""

    def __init__(self, graph: ComputationGraph):
        self.graph = graph
        self.names = graph.operator_names
        self.position: dict[int, tuple[float, float]] = {}
        self.boxes: list[tuple[float, float, str, str]] = []
        self.frames: list[tuple[float, float, float, float, int]] = []
        self.sources: dict[int, list[int]] = collections.defaultdict(list)
        for source, target in graph.edges.tolist():
            self.sources[target].append(source)
        self.width = self.height = 0.0
        columns: list[list[tuple[Group, float, float]]] = [[]]
        row = 0.0
        for group in fold(graph):
            rows, width = self._extent(group)
            if row and row + rows > _ROWS_PER_COLUMN:
                columns.append([])
                row = 0.0
            gap = 0.4 if group.repeats > 1 else 0.0
            columns[-1].append((group, row + gap, width))
            row += rows + 2 * gap
            self.height = max(self.height, row)
        left = 0.0
        for column in columns:
            widest = max((width for _, _, width in column), default=1.0)
            for group, top, width in column:
                self._arrange(group, left + (widest - width) / 2, top, width)
            left += widest + 0.5
        self.width = left - 0.5

    def _extent(self, group: Group) -> tuple[float, float]:
        rows, width = 0.0, 1.0
        for block in group.blocks:
            if len(block) > _LARGE_BLOCK:
                rows += 2
                continue
            depth = depths(self.sources, block)
            rows += max(depth) + 1
            width = max(width, collections.Counter(depth).most_common(1)[0][1])
        return float(rows), float(width)

    def _arrange(self, group: Group, left: float, row: float, width: float) -> None:
        top = row
        for block in group.blocks:
            if len(block) > _LARGE_BLOCK:
                counts = collections.Counter(self.names[node] for node in block).most_common(3)
                text = f"{len(block)} operators\n" + ", ".join(f"{count} {name}" for name, count in counts)
                self.boxes.append((left, row + 0.5, text, _OTHER))
                self.position.update(dict.fromkeys(block, (left, row + 0.5)))
                row += 2
                continue
            levels = collections.defaultdict(list)
            for node, depth in zip(block, depths(self.sources, block), strict=True):
                levels[depth].append(node)
            for depth, nodes in sorted(levels.items()):
                nodes.sort(key=self._mean_of_sources)
                for number, node in enumerate(nodes):
                    x = left + (width - len(nodes)) / 2 + number
                    self.position[node] = (x, row + depth)
                    self.boxes.append((x, row + depth, self._label(node), self._colour(node)))
            row += len(levels)
        length = sum(len(block) for block in group.blocks)
        for node in (node for block in group.blocks for node in block):
            for repeat in range(1, group.repeats):  # readers of the last repetition are drawn as readers of the first
                self.position[node + repeat * length] = self.position[node]
                self.sources.pop(node + repeat * length, None)
        if group.repeats > 1:
            self.frames.append((left, top, width, row - top, group.repeats))

    def _mean_of_sources(self, node: int) -> float:
        """The mean column of a node's sources."""
        columns = [self.position[source][0] for source in self.sources[node] if source in self.position]
        return sum(columns) / len(columns) if columns else 0.0

    def _label(self, node: int) -> str:
        height, width = self.graph.kernels[node].tolist()
        kernel = f" {height}x{width}" if height and width else ""
        rows, columns, channels = self.graph.shapes[node, [1, 3, 5]].tolist()
        return f"{self.names[node]}{kernel}\n{rows}x{columns}x{channels}"

    def _colour(self, node: int) -> str:
        return _KINDS.get(_kind(self.names[node]), (_OTHER,))[0]

    def draw(self, axes: plt.Axes) -> None:
        for x, y, width, rows, repeats in self.frames:
            frame = matplotlib.patches.FancyBboxPatch(
                (x - 0.02, y - 0.42), width + 0.04, rows - 0.12, boxstyle="round,pad=0,rounding_size=0.1",
                facecolor="#fafafa", edgecolor="#4269d0", linestyle="--", linewidth=0.9, zorder=0,
            )  # fmt: skip
            axes.add_patch(frame)
            axes.text(x + width, y - 0.46, f"x {repeats}", ha="right", va="bottom", fontsize=9, color="#4269d0")
        drawn = set()
        for target, sources in self.sources.items():
            for source in sources:
                if source in self.position and target in self.position:
                    ends = (*self.position[source], *self.position[target])
                    if ends[:2] != ends[2:] and ends not in drawn:
                        drawn.add(ends)
                        _arrow(axes, *ends)
        for x, y, text, colour in self.boxes:
            box = matplotlib.patches.FancyBboxPatch(
                (x + 0.04, y - 0.36), 0.92, 0.72, boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=colour, edgecolor="#666666", linewidth=0.6, zorder=2,
            )  # fmt: skip
            axes.add_patch(box)
            axes.text(x + 0.5, y, text, ha="center", va="center", fontsize=6.5, linespacing=0.95, zorder=3)


def _arrow(axes: plt.Axes, x: float, y: float, to_x: float, to_y: float) -> None:
    """An arrow straight down to the next row, otherwise around the boxes between."""
    if 0 < to_y - y <= 1.5:
        points = [(x + 0.5, y + 0.36), (to_x + 0.5, to_y - 0.36)]
        path = MplPath(points)
    elif abs(to_x - x) < 2 and to_y > y:
        bulge = max(x, to_x) + 1.25
        points = [(x + 0.96, y), (bulge, y), (bulge, to_y), (to_x + 0.96, to_y)]
        path = MplPath(points, [MplPath.MOVETO, *[MplPath.CURVE4] * 3])
    else:
        points = [(x + 0.5, y + 0.36), (x + 0.5, y + 3), (to_x + 0.5, to_y - 3), (to_x + 0.5, to_y - 0.36)]
        path = MplPath(points, [MplPath.MOVETO, *[MplPath.CURVE4] * 3])
    axes.add_patch(
        matplotlib.patches.FancyArrowPatch(
            path=path, arrowstyle="-|>", mutation_scale=5, color="#888888", linewidth=0.7, zorder=1
        )
    )


def operator_table(graph: ComputationGraph) -> str:
    """The operators of a graph with numbers of nodes, parameters and multiply-adds for one input, as Markdown.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> print(operator_table(smallest_graph()).splitlines()[-1])
      | all        |       2 |            0 |                     0.0 |
    """
    names, multiply_adds = graph.operator_names, graph.multiply_adds
    rows = []
    for name, count in graph.counts().most_common():
        nodes = [node for node, other in enumerate(names) if other == name]
        parameters, work = int(graph.parameters[nodes].sum()), int(multiply_adds[nodes].sum())
        rows.append([name, f"{count}", f"{parameters:,}", f"{work / 1e6:,.1f}"])
    rows.append(["all", f"{graph.num_nodes}", f"{graph.total_parameters:,}", f"{multiply_adds.sum() / 1e6:,.1f}"])
    return tables.markdown(["operator", "nodes", "parameters", "million multiply-adds"], rows)
