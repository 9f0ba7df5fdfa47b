"""Pictures of computation graphs as boxes and lines, before anything is drawn."""

import collections
import functools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.folding import Group, depths, fold
from tfnas.reports import layout as layouts
from tfnas.reports import palette
from tfnas.reports.columns import in_columns
from tfnas.reports.texts import text_width

LARGE_BLOCK = 60
"""Operators of the largest block whose operators have boxes."""
FONT_SIZE, _LINE_HEIGHT = 6.5, 0.105
_TALLNESS = 3.6
_PADDING, _PORT, _FRAME = 0.18, 0.07, 0.08
_COLUMN_GAP = 0.75


class Boxes:
    """The boxes and edges of a picture: operators, and blocks too large to be drawn, each repetition once.

    Args:
      graph: graph to draw.

    Attributes:
      texts: labels.
      colours: colours.
      sizes: width and height in inches, float `[boxes, 2]`.
      edges: pairs (source, target) of boxes.
      columns: column of every box on the page.
      frames: boxes of a repeated group, and the number of its repetitions.
      families: families of operations that have a box.
    """

    def __init__(self, graph: ComputationGraph):
        self.texts: list[str] = []
        self.colours: list[str | tuple[float, ...]] = []
        self.columns: list[int] = []
        self.frames: list[tuple[list[int], int]] = []
        self.families: set[str] = set()
        self._graph, self._names = graph, graph.operator_names
        sources: dict[int, list[int]] = collections.defaultdict(list)
        for source, target in graph.edges.tolist():
            sources[target].append(source)
        self._box: dict[int, int] = {}
        groups = fold(graph)
        for group, column in zip(groups, _columns([self._rows(group, sources) for group in groups]), strict=True):
            for node in self._add(group):
                sources.pop(node, None)
            self.columns += [column] * (len(self.texts) - len(self.columns))
        pairs = ((self._box[a], self._box[b]) for b, before in sources.items() for a in before)
        self.edges = list(dict.fromkeys((a, b) for a, b in pairs if a != b))
        self.sizes = self._measured()

    def of(self, nodes: Iterable[int]) -> set[int]:
        """The boxes of some operators; the box of a repetition is that of the first block."""
        return {self._box[node] for node in nodes}

    @functools.cached_property
    def layout(self) -> layouts.Layout:
        """Positions of boxes and curves of edges, in inches."""
        return in_columns(self.sizes, self.edges, self.columns, gap=_COLUMN_GAP)

    @staticmethod
    def _rows(group: Group, sources: Mapping[int, Sequence[int]]) -> int:
        return sum(1 if len(block) > LARGE_BLOCK else max(depths(sources, block)) + 1 for block in group.blocks)

    def _add(self, group: Group) -> list[int]:
        """Adds the boxes of a group; returns the nodes of its repetitions, whose own inputs are not drawn."""
        first = len(self.texts)
        for block in group.blocks:
            if len(block) > LARGE_BLOCK:
                counts = collections.Counter(self._names[node] for node in block).most_common(3)
                self._box.update(dict.fromkeys(block, len(self.texts)))
                self.texts.append(
                    f"{len(block)} operators\n" + ", ".join(f"{count} {palette.label(name)}" for name, count in counts)
                )
                self.colours.append(palette.FAMILIES["other"][0])
                continue
            for node in block:
                self._box[node] = len(self.texts)
                self.texts.append(self._label(node))
                self.families.add(palette.family(self._names[node]))
                width = int(self._graph.kernels[node].max())
                self.colours.append(palette.colour(self._names[node], width or None))
        if group.repeats > 1:
            self.frames.append((list(range(first, len(self.texts))), group.repeats))
        nodes = [node for block in group.blocks for node in block]
        repeated = [(node, node + number * len(nodes)) for number in range(1, group.repeats) for node in nodes]
        # Readers of the last repetition are drawn as readers of the first.
        self._box.update((twin, self._box[node]) for node, twin in repeated)
        return [twin for _, twin in repeated]

    def _label(self, node: int) -> str:
        height, width = self._graph.kernels[node].tolist()
        kernel = f" {height}{palette.TIMES}{width}" if height and width else ""
        shape = self._graph.shapes[node, [1, 3, 5]].tolist()
        return f"{palette.label(self._names[node])}{kernel}\n{palette.TIMES.join(map(str, shape))}"

    def _measured(self) -> np.ndarray:
        """Sizes that hold the texts and the arrows; operators are equally wide unless many arrows meet at a box."""
        sizes = np.zeros((len(self.texts), 2))
        degrees = np.zeros((len(self.texts), 2), int)
        for source, target in self.edges:
            degrees[source, 0] += 1
            degrees[target, 1] += 1
        for number, text in enumerate(self.texts):
            sizes[number] = text_width(text, FONT_SIZE) + _PADDING, 2 * _LINE_HEIGHT + 0.1
        single = np.array([text.count(",") == 0 for text in self.texts], bool)
        if single.any():
            sizes[single, 0] = sizes[single, 0].max()
        sizes[:, 0] = np.maximum(sizes[:, 0], _PORT * (degrees.max(axis=1, initial=0) + 1))
        return sizes


def _columns(rows: Sequence[int]) -> list[int]:
    """The column of every group: as many columns as make a page, of nearly the same height.

    Args:
      rows: number of rows of every group.
    """

    def split(limit: float) -> list[int]:
        columns, column, filled = [], 0, 0
        for count in rows:
            if filled and filled + count > limit:
                column, filled = column + 1, 0
            filled += count
            columns.append(column)
        return columns

    if not rows:
        return []
    most = split(_TALLNESS * sum(rows) ** 0.5)[-1]
    return next(columns for columns in map(split, range(max(rows), sum(rows) + 1)) if columns[-1] <= most)


def frame_corners(boxes: Boxes, items: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """The upper left and the lower right corner of a frame around some boxes and the lines between them, in inches."""
    centres, halves = boxes.layout.centres[items], boxes.sizes[items] / 2
    corners = [centres - halves, centres + halves]
    inner, top = set(items), corners[0][:, 1].min()
    for (_, target), curve in zip(boxes.edges, boxes.layout.curves, strict=True):
        if target in inner:
            points = layouts.sampled(curve)
            # The end of a line that comes from elsewhere: from where it last passes the upper border.
            above = np.flatnonzero(points[:, 1] < top)
            corners.append(points[above[-1] + 1 if len(above) else 0 :])
    corners = np.concatenate(corners)
    return corners.min(axis=0) - _FRAME, corners.max(axis=0) + _FRAME
