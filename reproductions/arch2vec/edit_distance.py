"""Edit distance of cells: the fewest vertices and edges to add, remove or relabel that turn one into the other."""

import itertools

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.spaces import CellTable

_MOST_INTERIOR = 8
_CHUNK_ENTRIES = 1 << 25


def edit_distances(first: CellTable, second: CellTable, num_inputs: int = 1) -> np.ndarray:
    """Exact graph edit distance, row by row; every edit costs 1.

    Inputs and output are matched to each other, and every order of the vertices between them is tried. A vertex that
    one of the cells does not have costs 1, and so does each of its edges.

    Args:
      first: N cells.
      second: N cells of the same width.
      num_inputs: leading vertices that stand for themselves: 1, or 2 in DARTS.

    Returns:
      int64 `[N]`.

    Raises:
      ConfigurationError: the tables differ in shape, or cells have more than 8 vertices between inputs and output.
    """
    if first.operations.shape != second.operations.shape:
        raise ConfigurationError(f"cells of shape {first.operations.shape} and {second.operations.shape}, expected one")
    width = first.operations.shape[1]
    interior = width - num_inputs - 1
    if interior > _MOST_INTERIOR:
        raise ConfigurationError(f"{interior} vertices between inputs and output, expected at most {_MOST_INTERIOR}")
    ends = [*range(num_inputs)], [width - 1]
    orders = np.array(
        [[*ends[0], *order, *ends[1]] for order in itertools.permutations(range(num_inputs, width - 1))], np.int64
    )
    left, right = _output_last(first), _output_last(second)
    result = np.empty(len(first), np.int64)
    chunk = max(1, _CHUNK_ENTRIES // (len(orders) * width * width))
    for start in range(0, len(first), chunk):
        rows = slice(start, start + chunk)
        operations = (left.operations[rows, None] != right.operations[rows][:, orders]).sum(axis=2)
        moved = right.adjacency[rows][:, orders[:, :, None], orders[:, None, :]]
        edges = (left.adjacency[rows, None] != moved).sum(axis=(2, 3))
        result[rows] = (operations + edges).min(axis=1)
    return result


def _output_last(cells: CellTable) -> CellTable:
    """The same cells with their output at the last position, and absent vertices before it."""
    count, width = cells.operations.shape
    last = cells.num_vertices - 1
    order = np.tile(np.arange(width), (count, 1))
    rows = np.arange(count)
    order[rows, last], order[:, -1] = width - 1, last
    operations = np.take_along_axis(cells.operations, order, axis=1)
    adjacency = cells.adjacency[rows[:, None, None], order[:, :, None], order[:, None, :]]
    return CellTable(operations, adjacency)
