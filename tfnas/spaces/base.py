"""What every search space answers."""

import abc
import contextlib
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces.architecture import ABSENT, Architecture, CellTable, check_adjacency
from tfnas.spaces.encodings import Encoding, candidates, shown

if TYPE_CHECKING:
    from tfnas.reports import diagrams

NONE = "none"
"""Name of the operation that gives zeros, in spaces that have it."""

Seed = int | np.random.Generator
"""Decides random choices: an integer gives the same choices at every call, a generator goes on from call to call."""


def _write_graph(space: "Space", architecture: Architecture) -> str:
    """Operations and edges, `in,op,out | 0>1 1>2`."""
    names = [name for name in architecture.operations if re.search(r"[,|]", name)]
    if names:
        raise InvalidArchitectureError(f"operation {names[0]!r}, which can't be written in a list of names")
    return Space.to_string(space, architecture)


def _read_graph(space: "Space", text: str) -> Architecture:
    """Inverse of `_write_graph`."""
    names, _, pairs = text.partition("|")
    operations = tuple(name.strip() for name in names.split(","))
    adjacency = np.zeros((len(operations), len(operations)), np.uint8)
    for pair in pairs.split():
        source, target = map(int, pair.split(">"))
        if max(source, target) >= len(operations):
            raise InvalidArchitectureError(f"edge {pair}, expected vertices 0 to {len(operations) - 1}")
        adjacency[source, target] = 1
    return Architecture(operations, adjacency)


class Space(abc.ABC):
    """A search space of cells.

    Attributes:
      name: name of the space in flags and manifests.
      operations: the O operation names, in the column order of the encoding.
      max_vertices: V, the width of the encoding.
      enumerable: whether `enumerate` lists the space; if not, it can be sampled.
      size: number of architectures, if known.
      encodings: forms that `read` and `write` know, by name; `graph`, the form of `Space.to_string`, fits every space.
    """

    name: str
    operations: tuple[str, ...]
    max_vertices: int
    enumerable: bool = True
    size: int | None = None
    encodings: ClassVar[Mapping[str, Encoding]] = {
        "graph": Encoding(
            "text, 'op,op,op | 0>1 1>2'",
            lambda value: isinstance(value, str) and bool(re.fullmatch(r"[^|]+\|(\s*\d+>\d+)*", value)),
            _read_graph,
            _write_graph,
        )
    }

    @abc.abstractmethod
    def enumerate(self) -> CellTable:
        """Every architecture of the space once, in the benchmark's order.

        Raises:
          ConfigurationError: the space is too large to enumerate; `sample` it.
        """

    @abc.abstractmethod
    def sample(self, count: int, seed: Seed) -> CellTable:
        """Random architectures, distinct up to isomorphism.

        Args:
          count: N, the number of architectures.
          seed: seed, or a generator that goes on.

        Raises:
          ConfigurationError: the space holds fewer.
        """

    def sample_without(self, operation: str, count: int, seed: Seed) -> CellTable:
        """Random architectures, distinct up to isomorphism, without an operation.

        Args:
          operation: name of an operation; of a space that lacks it, any architecture may be drawn.
          count: N.
          seed: seed, or a generator that goes on.

        Raises:
          ConfigurationError: the space holds fewer such architectures.
        """
        rng = np.random.default_rng(seed)
        if operation not in self.operations:
            return self.sample(count, rng)
        if self.enumerable:
            cells = self.enumerate()
            cells = cells[self.lacks(cells, operation)]
            if len(cells) < count:
                raise ConfigurationError(
                    f"{self.name} holds {len(cells)} cells without {operation!r}, {count} were asked for"
                )
            return cells[rng.permutation(len(cells))[:count]]
        while True:
            drawn: list[CellTable] = []
            while sum(map(len, drawn)) < count:
                cells = self.sample(2 * count + 100, rng)
                drawn.append(cells[self.lacks(cells, operation)])
            cells = CellTable.concatenate(drawn)
            _, first = np.unique(self.canonical_hashes(cells), return_index=True)
            if len(first) >= count:
                return cells[np.sort(first)[:count]]

    def sample_functions(self, count: int, seed: Seed) -> CellTable:
        """Random architectures that compute distinct functions, as far as the space can tell functions apart.

        Args:
          count: N, the number of architectures.
          seed: seed, or a generator that goes on.

        Raises:
          ConfigurationError: the space holds fewer.
        """
        return self.sample(count, seed)

    def components(self, cells: CellTable) -> "list[CellTable]":
        """The graphs that an architecture consists of, a table each; by default the architecture is one graph."""
        return [cells]

    def functional_hashes(self, cells: CellTable) -> np.ndarray:
        """uint64 `[N]` for valid rows: equal only for architectures that compute the same function of their weights.

        By default these are the `canonical_hashes`: the space knows no two architectures that compute the same.
        """
        return self.canonical_hashes(cells)

    def lacks(self, cells: CellTable, operation: str) -> np.ndarray:
        """bool `[N]`: which rows have an operation of the space on no vertex."""
        return (cells.operations != self.operations.index(operation)).all(axis=1)

    @abc.abstractmethod
    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A valid architecture one edit (an operation or an edge) away, different from the given one."""

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """A valid architecture with the graph of the first parent and, vertex by vertex, the operation of either.

        Parents of different size, or whose ten first crosses are not valid or equal the first, have a mutant of the
        first instead.
        """
        if first.num_vertices == second.num_vertices:
            for _ in range(10):
                from_first = rng.random(first.num_vertices) < 0.5
                names = zip(from_first, first.operations, second.operations, strict=True)
                child = Architecture(tuple(a if keep else b for keep, a, b in names), first.adjacency)
                if child != first and self.validate(child) is None:
                    return child
        return self.mutate(first, rng)

    @abc.abstractmethod
    def validate(self, architecture: Architecture) -> str | None:
        """The first rule of the space that the architecture breaks, in words, or None if it is valid."""

    @abc.abstractmethod
    def validate_many(self, cells: CellTable) -> np.ndarray:
        """bool `[N]`: what `validate` says of each row, vectorised."""

    @abc.abstractmethod
    def canonical_hash(self, architecture: Architecture) -> str:
        """A hash that is equal for, and only for, architectures that compute the same graph.

        Raises:
          InvalidArchitectureError: the architecture is not valid.
        """

    @abc.abstractmethod
    def canonical_hashes(self, cells: CellTable) -> np.ndarray:
        """uint64 `[N]` for valid rows: equal exactly where `canonical_hash` is equal. Vectorised; a different hash."""

    def encode(self, architecture: Architecture) -> tuple[np.ndarray, np.ndarray]:
        """Dense encoding, zero-padded at the end.

        Returns:
          `ops` float32 `[V, O]` one-hot and `adjacency` float32 `[V, V]`.

        Raises:
          InvalidArchitectureError: the architecture is not valid in this space.
        """
        cells = self.to_table([architecture])
        return cells.one_hot(len(self.operations))[0], cells.adjacency[0].astype(np.float32)

    def decode(self, ops: np.ndarray, adjacency: np.ndarray) -> Architecture:
        """Inverse of `encode`.

        Args:
          ops: `[V, O]`, one-hot; all-zero rows at the end are padding.
          adjacency: `[V, V]` of 0 and 1.

        Raises:
          InvalidArchitectureError: the arrays are not an encoding, or the architecture is not valid.
        """
        ops = np.asarray(ops)
        if ops.shape != (self.max_vertices, len(self.operations)):
            raise InvalidArchitectureError(
                f"ops has shape {ops.shape}, expected ({self.max_vertices}, {len(self.operations)}) in {self.name}"
            )
        if ops.dtype.kind == "f" and not np.isfinite(ops).all():
            raise InvalidArchitectureError("ops holds NaN or infinity, expected 0 and 1")
        if not np.isin(ops, (0, 1)).all():
            raise InvalidArchitectureError("ops holds values other than 0 and 1")
        present = ops.sum(axis=1)
        if (present > 1).any() or (np.diff(present) > 0).any():
            raise InvalidArchitectureError("ops is not one-hot with its padding at the end")
        count = int(present.sum())
        adjacency = check_adjacency(adjacency, self.max_vertices)
        if adjacency[count:].any() or adjacency[:, count:].any():
            raise InvalidArchitectureError("adjacency has an edge at a padded vertex")
        names = tuple(self.operations[column] for column in ops[:count].argmax(axis=1))
        architecture = Architecture(names, adjacency[:count, :count])
        self.require_valid(architecture)
        return architecture

    def require_valid(self, architecture: Architecture) -> None:
        """Raises InvalidArchitectureError with the broken rule if the architecture is not valid."""
        reason = self.validate(architecture)
        if reason is not None:
            raise InvalidArchitectureError(f"not a {self.name} architecture: {reason}")

    def to_table(self, architectures: Sequence[Architecture]) -> CellTable:
        """The padded table of some architectures.

        Raises:
          InvalidArchitectureError: one of them is not valid in this space.
        """
        for architecture in architectures:
            self.require_valid(architecture)
        return CellTable.of(architectures, self.operations, self.max_vertices)

    def architecture(self, cells: CellTable, row: int) -> Architecture:
        """One row of a table as an object."""
        codes = cells.operations[row]
        count = int((codes != ABSENT).sum())
        return Architecture(
            tuple(self.operations[code] for code in codes[:count]), cells.adjacency[row, :count, :count]
        )

    def diagrams(self, architecture: Architecture) -> "list[diagrams.Diagram]":
        """The pictures that show a valid architecture, one per cell; operations stand on vertices by default."""
        from tfnas.reports import diagrams  # matplotlib takes a second to import

        return [diagrams.operations_on_vertices(architecture.operations, architecture.edges)]

    def draw(
        self,
        architecture: Architecture,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        encoded: bool = False,
    ) -> None:
        """Draws the architecture from input to output to `path` as PNG and, beside it, as SVG.

        Whatever contributes nothing to the output is faint and dashed.

        Args:
          architecture: a valid architecture.
          path: file of the picture; the suffix is replaced.
          title: text above the picture; by default the standard notation of the architecture, if the space has any.
          encoded: whether operations stand on vertices, as encoders see the graph, even where the paper of the space
            draws the operations on edges.

        Raises:
          InvalidArchitectureError: the architecture is not valid in this space.
        """
        from tfnas.reports import diagrams

        self.require_valid(architecture)
        pictures = Space.diagrams(self, architecture) if encoded else self.diagrams(architecture)
        if title is None and type(self).to_string is not Space.to_string:
            title = self.to_string(architecture)
        diagrams.draw(pictures, pathlib.Path(path), title=title)

    def to_string(self, architecture: Architecture) -> str:
        """A short text that names the architecture to people; spaces with a standard notation use that."""
        edges = " ".join(f"{source}>{target}" for source, target in architecture.edges)
        return f"{','.join(architecture.operations)} | {edges}"

    def read(self, value: Any, encoding: str | None = None) -> Architecture:
        """The architecture that a text or an object of another package stands for.

        Texts are JSON, Python literals, or the notation of a package; nothing in them is run. Objects are numbers,
        tuples, lists, arrays, dictionaries, named tuples, or instances with the attributes of such a dictionary.

        Args:
          value: text, object or architecture.
          encoding: name in `encodings`; by default the form of the value decides.

        Raises:
          InvalidArchitectureError: the value has none of the forms, or stands for no architecture of the space.
          ConfigurationError: the space has no such encoding.

        Example:
          >>> from tfnas.spaces import NASBench201
          >>> NASBench201().read((0, 1, 0, 1, 0, 4)) == NASBench201().read("14590")
          True
        """
        if isinstance(value, Architecture):
            self.require_valid(value)
            return value
        rows = self.encodings if encoding is None else {encoding: self._encoding(encoding)}
        for candidate in candidates(value):
            for row in rows.values():
                if row.matches(candidate):
                    architecture = row.read(self, candidate)
                    self.require_valid(architecture)
                    return architecture
        forms = "; ".join(f"{name} ({row.form})" for name, row in rows.items())
        raise InvalidArchitectureError(f"{shown(value)} is no {self.name} architecture, expected {forms}")

    def write(self, architecture: Architecture, encoding: str) -> Any:
        """An architecture as another package writes it.

        Args:
          architecture: a valid architecture.
          encoding: name in `encodings`.

        Returns:
          Text, a number, a tuple or a dictionary, which `read` reads.

        Raises:
          InvalidArchitectureError: the architecture is not valid, or the encoding can't say it.
          ConfigurationError: the space has no such encoding.
        """
        row = self._encoding(encoding)
        self.require_valid(architecture)
        return row.write(self, architecture)

    def written(self, architecture: Architecture) -> dict[str, Any]:
        """What `write` gives for every encoding that can say a valid architecture, by name."""
        self.require_valid(architecture)
        texts = {}
        for name in self.encodings:
            with contextlib.suppress(InvalidArchitectureError):
                texts[name] = self.write(architecture, name)
        return texts

    def _encoding(self, name: str) -> Encoding:
        if name not in self.encodings:
            raise ConfigurationError(
                f"{self.name} has no encoding {name!r}, expected one of {', '.join(self.encodings)}"
            )
        return self.encodings[name]
