"""The DARTS cell space in arch2vec's encoding: two inputs, four blocks of two operations, one output; 11 vertices.

The same cell serves as normal and as reduction cell.

References:
  Liu et al. 2019, "DARTS: Differentiable Architecture Search", section 2.1.
  Yan et al. 2020 (arch2vec), appendix B.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import genotypes, isomorphism
from tfnas.spaces.architecture import Architecture, CellTable
from tfnas.spaces.base import NONE, Seed, Space
from tfnas.spaces.encodings import Encoding

if TYPE_CHECKING:
    from tfnas.reports import diagrams

INPUTS = ("c_k-2", "c_k-1")
OUTPUT = "c_k"
CELL_OPERATIONS = (NONE, *genotypes.OPERATIONS)
NUM_BLOCKS = 4
_FIRST_OPERATION_CODE = len(INPUTS)
_OUTPUT_VERTEX = 10

# Row s is the column of the adjacency matrix of a vertex that reads state s: an input, or both vertices of a block.
_STATE_PATTERNS = np.zeros((6, 11), np.uint8)
_STATE_PATTERNS[0, 0] = _STATE_PATTERNS[1, 1] = 1
for _block in range(NUM_BLOCKS):
    _STATE_PATTERNS[2 + _block, [2 + 2 * _block, 3 + 2 * _block]] = 1
_STATE_PATTERNS.flags.writeable = False
_STATE_OF_COLUMN = {pattern.tobytes(): state for state, pattern in enumerate(_STATE_PATTERNS)}


class Darts(Space):
    """Cells of four blocks; each block adds two operations that read two different earlier states.

    States 0 and 1 are the outputs of the two previous cells, state 2 + b is block b. Vertices 2 + 2b and 3 + 2b hold
    the operations of block b. Columns of the encoding: the two inputs, the eight operations, the output.

    Example:
      >>> cells = Darts().sample(5, np.random.default_rng(0))
      >>> bool(Darts().validate_many(cells).all())
      True
    """

    name = "darts"
    operations = (*INPUTS, *CELL_OPERATIONS, OUTPUT)
    max_vertices = 11
    enumerable = False

    def enumerate(self) -> CellTable:
        raise ConfigurationError("darts holds about 10^10 cells and can't be enumerated; sample it")

    def sample(self, count: int, seed: Seed) -> CellTable:
        """Operations uniform over all eight, the two states of a block uniform without replacement."""
        rng = np.random.default_rng(seed)
        cells = self._draw(count, rng)
        hashes = self.canonical_hashes(cells)
        while True:
            _, first = np.unique(hashes, return_index=True)
            if len(first) >= count:
                return cells[np.sort(first)[:count]]
            more = self._draw(count - len(first) + 16, rng)
            cells = CellTable.concatenate([cells[np.sort(first)], more])
            hashes = np.concatenate([hashes[np.sort(first)], self.canonical_hashes(more)])

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Changes the operation of one vertex, or the state that it reads (half of the time each)."""
        operations, states = self.to_genotype(architecture)
        before = self.canonical_hash(architecture)
        while True:
            new_operations, new_states = list(operations), list(states)
            slot = int(rng.integers(2 * NUM_BLOCKS))
            if rng.random() < 0.5:
                alternatives = [name for name in CELL_OPERATIONS if name != operations[slot]]
                new_operations[slot] = alternatives[int(rng.integers(len(alternatives)))]
            else:
                new_states[slot] = int(rng.integers(2 + slot // 2))
            if new_states[slot] == new_states[slot ^ 1]:
                continue
            mutated = self.from_genotype(new_operations, new_states)
            if self.canonical_hash(mutated) != before:
                return mutated

    def validate(self, architecture: Architecture) -> str | None:
        """The six rules of arch2vec's appendix B; the upper triangular matrix is checked by `Architecture` itself."""
        names, adjacency = architecture.operations, architecture.adjacency
        if len(names) != self.max_vertices:
            return f"{len(names)} vertices, expected {self.max_vertices}"
        if names[:2] != INPUTS:
            return f"the first two vertices are {names[0]!r} and {names[1]!r}, expected {INPUTS[0]!r} and {INPUTS[1]!r}"
        if names[-1] != OUTPUT:
            return f"the last vertex is {names[-1]!r}, expected {OUTPUT!r}"
        for vertex in range(2, _OUTPUT_VERTEX):
            if names[vertex] not in CELL_OPERATIONS:
                return f"vertex {vertex} is {names[vertex]!r}, expected one of {', '.join(CELL_OPERATIONS)}"
        if adjacency[0, 1]:
            return "vertex 1 is an input of the cell, but has a predecessor"
        for vertex, connected in enumerate(np.any(adjacency, axis=0)):
            if vertex >= 2 and not connected:
                return f"vertex {vertex} has no predecessor"
        for vertex, connected in enumerate(np.any(adjacency, axis=1)):
            if vertex < _OUTPUT_VERTEX and not connected:
                return f"vertex {vertex} has no successor"
        if not adjacency[2:_OUTPUT_VERTEX, _OUTPUT_VERTEX].all() or adjacency[:2, _OUTPUT_VERTEX].any():
            return "the output must read the eight operation vertices and nothing else"
        read = self._states_read(adjacency)
        for block in range(NUM_BLOCKS):
            states = read[2 * block : 2 * block + 2]
            if None in states:
                return f"block {block} has an operation that does not read exactly one earlier state"
            if states[0] == states[1]:
                return f"block {block} reads state {states[0]} twice, expected two different states"
        return None

    def validate_many(self, cells: CellTable) -> np.ndarray:
        codes, adjacency = cells.operations, cells.adjacency.astype(bool)
        interior = codes[:, 2:_OUTPUT_VERTEX]
        valid = (codes[:, 0] == 0) & (codes[:, 1] == 1) & (codes[:, -1] == len(self.operations) - 1)
        valid &= ((interior >= _FIRST_OPERATION_CODE) & (interior < len(self.operations) - 1)).all(axis=1)
        valid &= ~(adjacency & np.tri(self.max_vertices, dtype=bool)).any(axis=(1, 2))
        valid &= ~adjacency[:, :, :2].any(axis=(1, 2)) & np.any(adjacency[:, :2], axis=2).all(axis=1)
        valid &= adjacency[:, 2:_OUTPUT_VERTEX, _OUTPUT_VERTEX].all(axis=1)
        valid &= ~adjacency[:, :2, _OUTPUT_VERTEX].any(axis=1)
        for block in range(NUM_BLOCKS):
            read = []
            for vertex in (2 + 2 * block, 3 + 2 * block):
                patterns = _STATE_PATTERNS[: 2 + block].astype(bool)
                match = (adjacency[:, None, :, vertex] == patterns).all(axis=2)
                valid &= match.any(axis=1)
                read.append(match.argmax(axis=1))
            valid &= read[0] != read[1]
        return valid

    def diagrams(self, architecture: Architecture) -> "list[diagrams.Diagram]":
        """The inputs and the four blocks with the operations on the edges between them, as in Liu et al. 2019."""
        from tfnas.reports import diagrams

        edges: list[tuple[int, int, str | None]] = [
            (state, 2 + slot // 2, operation)
            for slot, (operation, state) in enumerate(zip(*self.to_genotype(architecture), strict=True))
        ]
        nodes = (*INPUTS, *map(str, range(NUM_BLOCKS)), OUTPUT)
        output = [(2 + block, len(nodes) - 1, None) for block in range(NUM_BLOCKS)]
        return [diagrams.operations_on_edges(nodes, [*edges, *output])]

    def canonical_hash(self, architecture: Architecture) -> str:
        self.require_valid(architecture)
        return isomorphism.module_hash(
            architecture.adjacency, [self.operations.index(name) for name in architecture.operations]
        )

    def canonical_hashes(self, cells: CellTable) -> np.ndarray:
        return isomorphism.fingerprints(cells.adjacency, cells.operations.astype(np.int64))

    def from_genotype(self, operations: Sequence[str], states: Sequence[int]) -> Architecture:
        """A cell from eight operation names and the eight states that they read, block by block.

        Raises:
          InvalidArchitectureError: a state that does not exist yet, or any broken rule.
        """
        if len(operations) != 2 * NUM_BLOCKS or len(states) != 2 * NUM_BLOCKS:
            raise InvalidArchitectureError(
                f"{len(operations)} operations and {len(states)} states, expected {2 * NUM_BLOCKS} of each"
            )
        for slot, state in enumerate(states):
            if not 0 <= state < 2 + slot // 2:
                raise InvalidArchitectureError(f"block {slot // 2} reads state {state}, expected 0 to {1 + slot // 2}")
        architecture = Architecture((*INPUTS, *operations, OUTPUT), self._adjacency(np.array([states], np.int64))[0])
        self.require_valid(architecture)
        return architecture

    def to_genotype(self, architecture: Architecture) -> tuple[list[str], list[int]]:
        """Inverse of `from_genotype`."""
        self.require_valid(architecture)
        states = self._states_read(architecture.adjacency)
        return list(architecture.operations[2:_OUTPUT_VERTEX]), [state for state in states if state is not None]

    def from_slots(self, cells: Sequence[genotypes.Slots]) -> Architecture:
        """The cell that is both the normal and the reduction cell of a genotype.

        Raises:
          InvalidArchitectureError: the two cells differ, or break a rule of the space.
        """
        normal, reduction = (
            self.from_genotype([name for name, _ in cell], [state for _, state in cell]) for cell in cells
        )
        if normal != reduction:
            raise InvalidArchitectureError(
                f"the normal and the reduction cell differ, which is an architecture of nasbench301, not of {self.name}"
            )
        return normal

    def to_slots(self, architecture: Architecture) -> list[genotypes.Slots]:
        """Inverse of `from_slots`: the slots of the cell, twice."""
        return [list(zip(*self.to_genotype(architecture), strict=True))] * 2

    encodings: ClassVar[Mapping[str, Encoding]] = {
        "genotype": Encoding(
            genotypes.GENOTYPE_FORM,
            genotypes.is_genotype,
            lambda space, value: space.from_slots(genotypes.from_genotype(value)),
            lambda space, architecture: genotypes.to_genotype(space.to_slots(architecture)),
        ),
        "naslib": Encoding(
            genotypes.COMPACT_FORM,
            genotypes.is_compact,
            lambda space, value: space.from_slots(genotypes.from_compact(value)),
            lambda space, architecture: genotypes.to_compact(space.to_slots(architecture)),
        ),
        **Space.encodings,
    }

    def _draw(self, count: int, rng: np.random.Generator) -> CellTable:
        operations = np.empty((count, self.max_vertices), np.uint8)
        operations[:, :2] = (0, 1)
        operations[:, 2:_OUTPUT_VERTEX] = _FIRST_OPERATION_CODE + rng.integers(
            len(CELL_OPERATIONS), size=(count, 2 * NUM_BLOCKS)
        )
        operations[:, _OUTPUT_VERTEX] = len(self.operations) - 1
        states = np.empty((count, 2 * NUM_BLOCKS), np.int64)
        for block in range(NUM_BLOCKS):
            first = rng.integers(2 + block, size=count)
            offset = rng.integers(1, 2 + block, size=count)
            states[:, 2 * block] = first
            states[:, 2 * block + 1] = (first + offset) % (2 + block)
        return CellTable(operations, self._adjacency(states))

    @staticmethod
    def _adjacency(states: np.ndarray) -> np.ndarray:
        """uint8 `[N, 11, 11]` from the states `[N, 8]` that the operations read."""
        adjacency = np.zeros((len(states), 11, 11), np.uint8)
        adjacency[:, :, 2:_OUTPUT_VERTEX] = np.moveaxis(_STATE_PATTERNS[states], 1, 2)
        adjacency[:, 2:_OUTPUT_VERTEX, _OUTPUT_VERTEX] = 1
        return adjacency

    @staticmethod
    def _states_read(adjacency: np.ndarray) -> list[int | None]:
        """The state that each of the eight operations reads, None where its column is none's."""
        columns = (column.tobytes() for column in np.ascontiguousarray(adjacency.T)[2:_OUTPUT_VERTEX])
        states = (_STATE_OF_COLUMN.get(column) for column in columns)
        return [state if state is not None and state < 2 + slot // 2 else None for slot, state in enumerate(states)]
