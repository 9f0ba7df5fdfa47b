"""The NAS-Bench-301 space: a normal and a reduction cell of DARTS, without the operation `none`.

The graph holds both cells side by side: vertices 0 to 10 are the normal cell, 11 to 21 the reduction cell.

References:
  Siems et al. 2020, "NAS-Bench-301 and the Case for Surrogate Benchmarks for Neural Architecture Search", section 3.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.spaces import genotypes
from tfnas.spaces.architecture import Architecture, CellTable
from tfnas.spaces.base import NONE, Seed, Space
from tfnas.spaces.darts import Darts
from tfnas.spaces.encodings import Encoding

if TYPE_CHECKING:
    from tfnas.reports import diagrams

_HALF = Darts.max_vertices
_NONE_CODE = Darts.operations.index(NONE)


class NASBench301(Space):
    """Pairs of DARTS cells.

    Example:
      >>> space = NASBench301()
      >>> pair = space.architecture(space.sample(1, np.random.default_rng(0)), 0)
      >>> [cell.num_vertices for cell in space.cells(pair)]
      [11, 11]
    """

    name = "nasbench301"
    operations = Darts.operations
    max_vertices = 2 * _HALF
    enumerable = False

    def __init__(self) -> None:
        self._darts = Darts()

    def enumerate(self) -> CellTable:
        raise ConfigurationError("nasbench301 holds about 10^18 pairs of cells and can't be enumerated; sample it")

    def sample(self, count: int, seed: Seed) -> CellTable:
        """Every pair of two cells drawn by `Darts.sample`, `none` left out."""
        rng = np.random.default_rng(seed)
        return _join(self._without_none(count, rng), self._without_none(count, rng))

    def _without_none(self, count: int, rng: np.random.Generator) -> CellTable:
        cells = self._darts.sample(count, rng)
        codes = cells.operations.copy()
        wrong = codes == _NONE_CODE
        codes[wrong] = rng.integers(_NONE_CODE + 1, _NONE_CODE + 1 + len(genotypes.OPERATIONS), wrong.sum())
        hashes = self._darts.canonical_hashes(CellTable(codes, cells.adjacency))
        _, first = np.unique(hashes, return_index=True)
        distinct = CellTable(codes, cells.adjacency)[np.sort(first)]
        return (
            distinct
            if len(distinct) == count
            else CellTable.concatenate([distinct, self._without_none(count - len(distinct), rng)])
        )

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Mutates one of the two cells as `Darts.mutate` does, never to `none`."""
        self.require_valid(architecture)
        cells = self.cells(architecture)
        which = int(rng.integers(2))
        while True:
            mutated = self._darts.mutate(cells[which], rng)
            if NONE not in mutated.operations:
                cells[which] = mutated
                return self.from_cells(*cells)

    def validate(self, architecture: Architecture) -> str | None:
        if architecture.num_vertices != self.max_vertices:
            return f"{architecture.num_vertices} vertices, expected {self.max_vertices}"
        if architecture.adjacency[:_HALF, _HALF:].any():
            return "an edge joins the normal and the reduction cell"
        for name, cell in zip(("normal", "reduction"), self.cells(architecture), strict=True):
            reason = self._darts.validate(cell)
            if reason is None and NONE in cell.operations:
                reason = f"vertex {cell.operations.index(NONE)} is {NONE!r}"
            if reason is not None:
                return f"{name} cell: {reason}"
        return None

    def validate_many(self, cells: CellTable) -> np.ndarray:
        valid = ~cells.adjacency[:, :_HALF, _HALF:].any(axis=(1, 2)) & ~cells.adjacency[:, _HALF:, :_HALF].any(
            axis=(1, 2)
        )
        valid &= (cells.operations != _NONE_CODE).all(axis=1)
        for half in _split(cells):
            valid &= self._darts.validate_many(half)
        return valid

    def diagrams(self, architecture: Architecture) -> "list[diagrams.Diagram]":
        """The normal and the reduction cell, each with its operations on edges."""
        cells = zip(("normal cell", "reduction cell"), self.cells(architecture), strict=True)
        return [dataclasses.replace(self._darts.diagrams(cell)[0], title=title) for title, cell in cells]

    def canonical_hash(self, architecture: Architecture) -> str:
        self.require_valid(architecture)
        return "".join(self._darts.canonical_hash(cell) for cell in self.cells(architecture))

    def canonical_hashes(self, cells: CellTable) -> np.ndarray:
        normal, reduction = (self._darts.canonical_hashes(half) for half in _split(cells))
        return normal * np.uint64(0x9E3779B97F4A7C15) + reduction  # an odd factor, so no information is lost

    def components(self, cells: CellTable) -> list[CellTable]:
        """The normal and the reduction cells."""
        return list(_split(cells))

    def cells(self, architecture: Architecture) -> list[Architecture]:
        """The normal and the reduction cell."""
        names, adjacency = architecture.operations, architecture.adjacency
        return [
            Architecture(names[:_HALF], adjacency[:_HALF, :_HALF]),
            Architecture(names[_HALF:], adjacency[_HALF:, _HALF:]),
        ]

    def from_cells(self, normal: Architecture, reduction: Architecture) -> Architecture:
        """The pair of two DARTS cells.

        Raises:
          InvalidArchitectureError: one is not a DARTS cell, or holds `none`.
        """
        pair = _join(self._darts.to_table([normal]), self._darts.to_table([reduction]))
        architecture = self.architecture(pair, 0)
        self.require_valid(architecture)
        return architecture

    def from_slots(self, cells: Sequence[genotypes.Slots]) -> Architecture:
        """The pair of the cells of a genotype.

        Raises:
          InvalidArchitectureError: a broken rule of the space.
        """
        return self.from_cells(
            *(self._darts.from_genotype([name for name, _ in cell], [state for _, state in cell]) for cell in cells)
        )

    def to_slots(self, architecture: Architecture) -> list[genotypes.Slots]:
        """Inverse of `from_slots`."""
        return [self._darts.to_slots(cell)[0] for cell in self.cells(architecture)]

    encodings: ClassVar[Mapping[str, Encoding]] = Darts.encodings

    def from_pairs(self, pairs: np.ndarray | Sequence) -> CellTable:
        """Architectures from the benchmark's compact form.

        Args:
          pairs: integers `[N, 2, 8, 2]`: cell, slot, and (state read, index into `genotypes.OPERATIONS`).
        """
        pairs = np.asarray(pairs)
        halves = []
        for cell in range(2):
            architectures = [
                self._darts.from_genotype([genotypes.OPERATIONS[code] for code in slots[:, 1]], slots[:, 0].tolist())
                for slots in pairs[:, cell]
            ]
            halves.append(self._darts.to_table(architectures))
        return _join(*halves)


def _join(normal: CellTable, reduction: CellTable) -> CellTable:
    count = len(normal)
    adjacency = np.zeros((count, 2 * _HALF, 2 * _HALF), np.uint8)
    adjacency[:, :_HALF, :_HALF], adjacency[:, _HALF:, _HALF:] = normal.adjacency, reduction.adjacency
    return CellTable(np.concatenate([normal.operations, reduction.operations], axis=1), adjacency)


def _split(cells: CellTable) -> tuple[CellTable, CellTable]:
    return (
        CellTable(cells.operations[:, :_HALF], cells.adjacency[:, :_HALF, :_HALF]),
        CellTable(cells.operations[:, _HALF:], cells.adjacency[:, _HALF:, _HALF:]),
    )
