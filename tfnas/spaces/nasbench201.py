"""The NAS-Bench-201 cell space: four nodes, six edges, one of five operations on every edge; 15,625 cells.

The graph that encoders see has the operations on vertices: input, the six edges, output, always joined the same way.

References:
  Dong and Yang 2020, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", section 2.
  Yan et al. 2020 (arch2vec), appendix B, for the encoding with 8 vertices.
  https://github.com/D-X-Y/NATS-Bench (nats_bench/api_topology.py), for the strings and numbers of cells.
  https://github.com/automl/NASLib (naslib/search_spaces/nasbench201/conversions.py), for NASLib's tuples.
"""

import functools
import itertools
import random
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import isomorphism
from tfnas.spaces.architecture import Architecture, CellTable
from tfnas.spaces.base import NONE, Seed, Space
from tfnas.spaces.encodings import Encoding, is_integer, is_list
from tfnas.spaces.fixed_graph import FixedGraphSpace

if TYPE_CHECKING:
    from tfnas.reports import diagrams

INPUT, OUTPUT = "input", "output"
CONV1X1, CONV3X3, AVERAGE_POOL, SKIP = "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3", "skip_connect"

NODE_EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The cell's edges between its nodes 0..3, in the order of the benchmark's string."""

# Vertex k + 1 is edge k; an edge that ends in a node feeds every edge that starts there.
ADJACENCY = np.zeros((8, 8), np.uint8)
for _k, (_source, _target) in enumerate(NODE_EDGES):
    if _source == 0:
        ADJACENCY[0, 1 + _k] = 1
    if _target == 3:
        ADJACENCY[1 + _k, 7] = 1
    for _l, (_next_source, _) in enumerate(NODE_EDGES):
        if _next_source == _target:
            ADJACENCY[1 + _k, 1 + _l] = 1
ADJACENCY.flags.writeable = False

_NASLIB_OPERATIONS = (SKIP, NONE, CONV3X3, CONV1X1, AVERAGE_POOL)
# Sorted by the node where an edge starts, while the benchmark sorts by the node where an edge ends.
_NASLIB_EDGES = sorted(NODE_EDGES)

_STRING = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


def _from_naslib(space: "NASBench201", indices: list[int]) -> Architecture:
    """The cell of NASLib's six operation numbers, `op_indices`."""
    wrong = [index for index in indices if not 0 <= index < len(_NASLIB_OPERATIONS)]
    if wrong:
        raise InvalidArchitectureError(f"NASLib's operation {wrong[0]}, expected 0 to {len(_NASLIB_OPERATIONS) - 1}")
    names = dict(zip(_NASLIB_EDGES, (_NASLIB_OPERATIONS[index] for index in indices), strict=True))
    return Architecture((INPUT, *(names[edge] for edge in NODE_EDGES), OUTPUT), ADJACENCY)


def _to_naslib(space: "NASBench201", architecture: Architecture) -> tuple[int, ...]:
    """Inverse of `_from_naslib`."""
    names = dict(zip(NODE_EDGES, architecture.operations[1:-1], strict=True))
    return tuple(_NASLIB_OPERATIONS.index(names[edge]) for edge in _NASLIB_EDGES)


class NASBench201(FixedGraphSpace):
    """Cells of the topology search space, in the order in which the benchmark numbers them.

    Hashes tell all cells apart, even where `none` makes them equal; `functional_hashes` does not.

    Columns of the encoding: input, 1x1 convolution, 3x3 convolution, average pool, skip, none, output (the order of
    arch2vec's published code).

    Example:
      >>> space = NASBench201()
      >>> cell = space.from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
      >>> space.index(cell)
      11083
    """

    name = "nasbench201"
    operations = (INPUT, CONV1X1, CONV3X3, AVERAGE_POOL, SKIP, NONE, OUTPUT)
    max_vertices = 8
    size = 15_625
    graph = ADJACENCY

    def enumerate(self) -> CellTable:
        return self._table(np.array(_cell_codes(), np.uint8))

    def diagrams(self, architecture: Architecture) -> "list[diagrams.Diagram]":
        """The four nodes with the operations on the edges between them, as in figure 1 of Dong and Yang 2020."""
        from tfnas.reports import diagrams, palette

        pairs = zip(NODE_EDGES, architecture.operations[1:-1], strict=True)
        edges = [(source, target, operation) for (source, target), operation in pairs]
        room = tuple(palette.label(operation) for operation in self.operations[1:-1])
        return [diagrams.operations_on_edges((INPUT, "1", "2", OUTPUT), edges, room=room)]

    def to_string(self, architecture: Architecture) -> str:
        """The benchmark's notation, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        self.require_valid(architecture)
        a, b, c, d, e, f = architecture.operations[1:-1]
        return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"

    def from_string(self, text: str) -> Architecture:
        """Reads the benchmark's notation.

        Raises:
          InvalidArchitectureError: the text is not in that notation, or names an unknown operation.
        """
        match = _STRING.fullmatch(text)
        if match is None:
            raise InvalidArchitectureError(f"{text!r} is not of the form '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'")
        architecture = Architecture((INPUT, *match.groups(), OUTPUT), ADJACENCY)
        self.require_valid(architecture)
        return architecture

    def from_strings(self, texts: Sequence[str]) -> CellTable:
        """Reads many cells in the benchmark's notation.

        Raises:
          InvalidArchitectureError: see `from_string`.
        """
        codes = {name: code for code, name in enumerate(self.operations[1:-1], start=1)}
        interior = np.zeros((len(texts), len(NODE_EDGES)), np.uint8)
        for row, text in enumerate(texts):
            match = _STRING.fullmatch(text)
            edges = [codes.get(name, 0) for name in match.groups()] if match else [0]
            if not all(edges):
                self.from_string(text)
            interior[row] = edges
        return self._table(interior)

    def index(self, architecture: Architecture) -> int:
        """The benchmark's number of the cell, 0 to 15,624."""
        self.require_valid(architecture)
        return _cell_numbers()[tuple(self.operations.index(name) for name in architecture.operations[1:-1])]

    def from_index(self, number: int) -> Architecture:
        """Inverse of `index`.

        Raises:
          InvalidArchitectureError: the benchmark has no cell of that number.
        """
        if not 0 <= number < self.size:
            raise InvalidArchitectureError(f"cell {number}, expected 0 to {self.size - 1}")
        names = (self.operations[code] for code in _cell_codes()[number])
        return Architecture((INPUT, *names, OUTPUT), ADJACENCY)

    encodings: ClassVar[Mapping[str, Encoding]] = {
        "nats_bench": Encoding(
            "text, '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'",
            lambda value: isinstance(value, str) and value.startswith("|"),
            from_string,
            to_string,
        ),
        "naslib": Encoding(
            "six numbers of operations", lambda value: is_list(value, 6, is_integer), _from_naslib, _to_naslib
        ),
        "index": Encoding("the benchmark's number of the cell", is_integer, from_index, index),
        **Space.encodings,
    }

    def functional_hashes(self, cells: CellTable) -> np.ndarray:
        """uint64 `[N]` for valid rows: equal exactly for cells that compute the same function of their weights.

        Edges with `none`, edges that start at a sum of nothing and edges that don't reach the output are removed;
        `skip_connect` edges are contracted, where several paths of them count as so many summands. What remains, a
        graph of convolutions and pools, is hashed up to isomorphism. The whole space has 5,425 such graphs.
        """
        return isomorphism.fingerprints(*_data_flow(cells.operations[:, 1:-1]))

    def distinct_functions(self) -> tuple[np.ndarray, np.ndarray]:
        """One cell for every function that the cells of the space compute.

        Returns:
          Numbers of M representatives, int64 `[M]`: the cell of a function with the fewest convolutions, then with the
          smallest number; and for every cell the position of its representative in that list, int64 `[15625]`.
        """
        cells = self.enumerate()
        operations = np.array(self.operations)[cells.operations[:, 1:-1]]
        cost = 10 * (operations == CONV3X3).sum(axis=1) + (operations == CONV1X1).sum(axis=1)
        order = np.lexsort((np.arange(len(cells)), cost))
        _, first, inverse = np.unique(self.functional_hashes(cells)[order], return_index=True, return_inverse=True)
        positions = np.empty(len(cells), np.int64)
        positions[order] = inverse
        return order[first], positions

    def sample_functions(self, count: int, seed: Seed) -> CellTable:
        """Random representatives of `distinct_functions`, in the benchmark's order."""
        numbers, _ = self.distinct_functions()
        if count > len(numbers):
            raise ConfigurationError(f"count={count}, but the cells of {self.name} compute {len(numbers)} functions")
        return self.enumerate()[np.sort(np.random.default_rng(seed).permutation(numbers)[:count])]


@functools.cache
def _cell_codes() -> tuple[tuple[int, ...], ...]:
    """Operation codes of the six edges of every cell, in the benchmark's order.

    The benchmark lists all combinations (its operations in the order below, the last edge fastest) and shuffles the
    list with Python's generator and the seed 88.
    """
    order = [NASBench201.operations.index(name) for name in (NONE, SKIP, CONV1X1, CONV3X3, AVERAGE_POOL)]
    cells = list(itertools.product(order, repeat=6))
    random.Random(88).shuffle(cells)
    return tuple(cells)


@functools.cache
def _cell_numbers() -> dict[tuple[int, ...], int]:
    return {codes: number for number, codes in enumerate(_cell_codes())}


def _data_flow(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What cells compute, as graphs whose edges lead to later vertices.

    Args:
      codes: operation codes of the six edges, `[N, 6]`.

    Returns:
      Adjacency uint8 `[N, 11, 11]` and labels int64 `[N, 11]`, -1 for vertices that a graph lacks. The vertices are the
      input, the six edges and the output, and before a vertex those that stand for a summand that the vertex reads
      several times; no other summands than those of `_REPEATED` can be.
    """
    skips, works = codes == NASBench201.operations.index(SKIP), codes != NASBench201.operations.index(NONE)
    works &= ~skips
    # How often every node of the cell adds up the input (0) and the results of the edges (1 to 6).
    summands = np.zeros((len(codes), 4, 7), np.int64)
    summands[:, 0, 0] = 1
    read = np.zeros((len(codes), 8, 7), np.int64)
    for edge, (source, target) in enumerate(NODE_EDGES, start=1):
        summands[:, target] += summands[:, source] * skips[:, edge - 1, None]
        read[:, edge] = summands[:, source] * works[:, edge - 1, None]
        summands[:, target, edge] += read[:, edge].any(axis=1)
    read[:, 7] = summands[:, 3]
    needed = np.zeros((len(codes), 8), bool)
    needed[:, 7] = True
    for vertex in range(7, 0, -1):
        needed[:, :7] |= needed[:, [vertex]] & (read[:, vertex] > 0)
    needed[:, 0] = True
    labels = np.full((len(codes), 8 + len(_REPEATED)), -1, np.int64)
    labels[:, _VERTICES] = np.where(needed, np.pad(codes, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 6))), -1)
    adjacency = np.zeros((len(codes), labels.shape[1], labels.shape[1]), np.uint8)
    for vertex in range(1, 8):
        for source in range(vertex):
            times = read[:, vertex, source] * needed[:, vertex]
            adjacency[:, _VERTICES[source], _VERTICES[vertex]] = times == 1
            if (vertex, source) in _REPEATED:
                between = _REPEATED[vertex, source]
                labels[:, between] = np.where(times > 1, 100 + times, -1)
                adjacency[:, _VERTICES[source], between] = adjacency[:, between, _VERTICES[vertex]] = times > 1
    return adjacency, labels


_VERTICES = (0, 1, 2, 3, 4, 5, 7, 10)
"""Numbers of the input, the edges and the output in the graphs of `_data_flow`."""
_REPEATED = {(6, 0): 6, (7, 0): 8, (7, 1): 9}
"""Numbers of the vertices between an edge or the output, and the summand that it can read several times."""
