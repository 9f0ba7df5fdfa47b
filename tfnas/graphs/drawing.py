"""Pictures of computation graphs; what repeats is drawn once."""

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
    """Draws a network from input (top left) to output, to `path` as PNG and, beside it, as SVG.

    Blocks that repeat in a row stand in one frame with their number; a block of more than 60 operators without an
    operator that all its data passes is one box that counts them.

    Args:
      graph: any computation graph.
      path: where.
      title: above the picture, by default the graph's name and size.
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
    """Places in units of one box: columns of the page from left to right, rows from top to bottom."""

    def __init__(self, graph: ComputationGraph):
        self.graph = graph
        self.names = graph.operator_names
        self.place: dict[int, tuple[float, float]] = {}
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
                self._place(group, left + (widest - width) / 2, top, width)
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

    def _place(self, group: Group, left: float, row: float, width: float) -> None:
        top = row
        for block in group.blocks:
            if len(block) > _LARGE_BLOCK:
                counts = collections.Counter(self.names[node] for node in block).most_common(3)
                text = f"{len(block)} operators\n" + ", ".join(f"{count} {name}" for name, count in counts)
                self.boxes.append((left, row + 0.5, text, _OTHER))
                self.place.update(dict.fromkeys(block, (left, row + 0.5)))
                row += 2
                continue
            levels = collections.defaultdict(list)
            for node, depth in zip(block, depths(self.sources, block), strict=True):
                levels[depth].append(node)
            for depth, nodes in sorted(levels.items()):
                nodes.sort(key=self._wanted)
                for number, node in enumerate(nodes):
                    x = left + (width - len(nodes)) / 2 + number
                    self.place[node] = (x, row + depth)
                    self.boxes.append((x, row + depth, self._label(node), self._colour(node)))
            row += len(levels)
        length = sum(len(block) for block in group.blocks)
        for node in (node for block in group.blocks for node in block):
            for repeat in range(1, group.repeats):  # what reads the last repetition is drawn to read the first
                self.place[node + repeat * length] = self.place[node]
                self.sources.pop(node + repeat * length, None)
        if group.repeats > 1:
            self.frames.append((left, top, width, row - top, group.repeats))

    def _wanted(self, node: int) -> float:
        """The mean place of what a node reads."""
        places = [self.place[source][0] for source in self.sources[node] if source in self.place]
        return sum(places) / len(places) if places else 0.0

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
                if source in self.place and target in self.place:
                    ends = (*self.place[source], *self.place[target])
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
    """Straight down to the next row, otherwise around what lies between."""
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
    """Operators of a computation graph: how often each occurs, its parameters and multiply-adds for one input."""
    names, multiply_adds = graph.operator_names, graph.multiply_adds
    rows = []
    for name, count in graph.counts().most_common():
        mine = [node for node, other in enumerate(names) if other == name]
        parameters, work = int(graph.parameters[mine].sum()), int(multiply_adds[mine].sum())
        rows.append([name, f"{count}", f"{parameters:,}", f"{work / 1e6:,.1f}"])
    rows.append(["all", f"{graph.num_nodes}", f"{graph.total_parameters:,}", f"{multiply_adds.sum() / 1e6:,.1f}"])
    return tables.markdown(["operator", "nodes", "parameters", "million multiply-adds"], rows)
