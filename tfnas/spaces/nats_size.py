"""The NATS-Bench size space: one network, the width of each of its five stages is searched; 32,768 candidates.

The graph is a chain: input, the five stages, output; the operation of a stage is its number of channels.

References:
  Dong et al. 2021, "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", section 3.2.
"""

import itertools
import re
from collections.abc import Sequence

import numpy as np

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import isomorphism
from tfnas.spaces.base import Architecture, CellTable, Space

INPUT, OUTPUT = "input", "output"
CHANNELS = (8, 16, 24, 32, 40, 48, 56, 64)
NUM_STAGES = 5
_WIDTH = NUM_STAGES + 2
ADJACENCY = np.eye(_WIDTH, k=1, dtype=np.uint8)
ADJACENCY.flags.writeable = False


class NATSSize(Space):
    """Widths of five stages. `enumerate` runs through them with the last stage fastest."""

    name = "nats_size"
    operations = (INPUT, *(f"channels_{channels}" for channels in CHANNELS), OUTPUT)
    max_vertices = _WIDTH
    size = len(CHANNELS) ** NUM_STAGES

    def enumerate(self) -> CellTable:
        return self._table(np.array(list(itertools.product(range(1, 9), repeat=NUM_STAGES)), np.uint8))

    def sample(self, count: int, rng: np.random.Generator) -> CellTable:
        if count > self.size:
            raise ConfigurationError(f"{self.name} holds {self.size} architectures, {count} were asked for")
        return self.enumerate()[rng.choice(self.size, count, replace=False)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Gives one stage another width, both drawn uniformly."""
        self.require_valid(architecture)
        names = list(architecture.operations)
        stage = 1 + int(rng.integers(NUM_STAGES))
        others = [name for name in self.operations[1:-1] if name != names[stage]]
        names[stage] = others[int(rng.integers(len(others)))]
        return Architecture(tuple(names), ADJACENCY)

    def validate(self, architecture: Architecture) -> str | None:
        names = architecture.operations
        if len(names) != _WIDTH:
            return f"{len(names)} vertices, expected {_WIDTH}"
        if names[0] != INPUT or names[-1] != OUTPUT:
            return f"the ends are {names[0]!r} and {names[-1]!r}, expected {INPUT!r} and {OUTPUT!r}"
        for stage, name in enumerate(names[1:-1], start=1):
            if name not in self.operations[1:-1]:
                return f"stage {stage} is {name!r}, expected one of {', '.join(self.operations[1:-1])}"
        if not np.array_equal(architecture.adjacency, ADJACENCY):
            return "the stages don't form a chain"
        return None

    def validate_many(self, cells: CellTable) -> np.ndarray:
        stages = cells.operations[:, 1:-1]
        return (
            (cells.operations[:, 0] == 0)
            & (cells.operations[:, -1] == len(self.operations) - 1)
            & ((stages >= 1) & (stages <= len(CHANNELS))).all(axis=1)
            & (cells.adjacency == ADJACENCY).all(axis=(1, 2))
        )

    def canonical_hash(self, architecture: Architecture) -> str:
        self.require_valid(architecture)
        return isomorphism.module_hash(ADJACENCY, [self.operations.index(name) for name in architecture.operations])

    def canonical_hashes(self, cells: CellTable) -> np.ndarray:
        return isomorphism.fingerprints(cells.adjacency, cells.operations.astype(np.int64))

    def to_string(self, architecture: Architecture) -> str:
        """The benchmark's notation: the widths, joined by colons."""
        self.require_valid(architecture)
        return ":".join(name.removeprefix("channels_") for name in architecture.operations[1:-1])

    def from_string(self, text: str) -> Architecture:
        """Reads the benchmark's notation.

        Raises:
          InvalidArchitectureError: not five widths of the space, joined by colons.
        """
        if re.fullmatch(r"\d+(:\d+){4}", text) is None:
            raise InvalidArchitectureError(f"{text!r} is not of the form 'c1:c2:c3:c4:c5'")
        architecture = Architecture((INPUT, *(f"channels_{width}" for width in text.split(":")), OUTPUT), ADJACENCY)
        self.require_valid(architecture)
        return architecture

    def from_strings(self, texts: Sequence[str]) -> CellTable:
        """Reads many architectures in the benchmark's notation.

        Raises:
          InvalidArchitectureError: see `from_string`.
        """
        codes = {str(width): code for code, width in enumerate(CHANNELS, start=1)}
        stages = np.zeros((len(texts), NUM_STAGES), np.uint8)
        for row, text in enumerate(texts):
            found = [codes.get(width, 0) for width in text.split(":")]
            if len(found) != NUM_STAGES or not all(found):
                self.from_string(text)
            stages[row] = found
        return self._table(stages)

    def _table(self, stages: np.ndarray) -> CellTable:
        operations = np.zeros((len(stages), _WIDTH), np.uint8)
        operations[:, 1:-1], operations[:, -1] = stages, len(self.operations) - 1
        return CellTable(operations, np.broadcast_to(ADJACENCY, (len(stages), _WIDTH, _WIDTH)).copy())
