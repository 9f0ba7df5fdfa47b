"""The NAS-Bench-201 cell space: four nodes, six edges, one of five operations on every edge; 15,625 cells.

The graph that encoders see has the operations on vertices: input, the six edges, output, always joined the same way.

References:
  Dong and Yang 2020, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", section 2.
  Yan et al. 2020 (arch2vec), appendix B, for the encoding with 8 vertices.
"""

import functools
import itertools
import random
import re

import numpy as np

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import isomorphism
from tfnas.spaces.base import Architecture, CellTable, Space

INPUT, OUTPUT = "input", "output"
CONV1X1, CONV3X3, AVERAGE_POOL, SKIP, NONE = (
    "nor_conv_1x1",
    "nor_conv_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "none",
)

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

_STRING = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")


class NASBench201(Space):
    """Cells of the topology search space, in the order in which the benchmark numbers them.

    Columns of the encoding: input, 1x1 convolution, 3x3 convolution, average pool, skip, none, output (the order of
    arch2vec's published code).
    """

    name = "nasbench201"
    operations = (INPUT, CONV1X1, CONV3X3, AVERAGE_POOL, SKIP, NONE, OUTPUT)
    max_vertices = 8
    size = 15_625

    def enumerate(self) -> CellTable:
        return self._table(np.array(_cell_codes(), np.uint8))

    def sample(self, count: int, rng: np.random.Generator) -> CellTable:
        if count > self.size:
            raise ConfigurationError(f"{self.name} holds {self.size} architectures, {count} were asked for")
        return self.enumerate()[rng.choice(self.size, count, replace=False)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Replaces the operation of one edge by another, both drawn uniformly."""
        self.require_valid(architecture)
        operations = list(architecture.operations)
        vertex = 1 + int(rng.integers(6))
        others = [name for name in self.operations[1:-1] if name != operations[vertex]]
        operations[vertex] = others[int(rng.integers(len(others)))]
        return Architecture(tuple(operations), ADJACENCY)

    def validate(self, architecture: Architecture) -> str | None:
        names = architecture.operations
        if len(names) != 8:
            return f"{len(names)} vertices, expected 8"
        if names[0] != INPUT or names[-1] != OUTPUT:
            return f"the ends are {names[0]!r} and {names[-1]!r}, expected {INPUT!r} and {OUTPUT!r}"
        for vertex, name in enumerate(names[1:-1], start=1):
            if name not in self.operations[1:-1]:
                return f"vertex {vertex} is {name!r}, expected one of {', '.join(self.operations[1:-1])}"
        wrong = np.argwhere(architecture.adjacency != ADJACENCY)
        if len(wrong):
            i, j = wrong[0]
            fault = "missing" if ADJACENCY[i, j] else "not part of the cell"
            return f"edge {i} -> {j} is {fault}; all cells share one graph"
        return None

    def validate_many(self, cells: CellTable) -> np.ndarray:
        interior = cells.operations[:, 1:-1]
        return (
            (cells.operations[:, 0] == 0)
            & (cells.operations[:, -1] == 6)
            & ((interior >= 1) & (interior <= 5)).all(axis=1)
            & (cells.adjacency == ADJACENCY).all(axis=(1, 2))
        )

    def canonical_hash(self, architecture: Architecture) -> str:
        """The hash of the labelled graph. It tells all 15,625 cells apart, even where `none` makes them equal."""
        self.require_valid(architecture)
        return isomorphism.module_hash(ADJACENCY, [self.operations.index(name) for name in architecture.operations])

    def canonical_hashes(self, cells: CellTable) -> np.ndarray:
        return isomorphism.fingerprints(cells.adjacency, cells.operations.astype(np.int64))

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

    def index(self, architecture: Architecture) -> int:
        """The benchmark's number of the cell, 0 to 15,624."""
        self.require_valid(architecture)
        return _cell_numbers()[tuple(self.operations.index(name) for name in architecture.operations[1:-1])]

    def _table(self, interior: np.ndarray) -> CellTable:
        operations = np.empty((len(interior), 8), np.uint8)
        operations[:, 0], operations[:, 1:-1], operations[:, -1] = 0, interior, 6
        return CellTable(operations, np.broadcast_to(ADJACENCY, (len(interior), 8, 8)).copy())


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
