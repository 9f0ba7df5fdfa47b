"""The NATS-Bench size space: one network, the width of each of its five stages is searched; 32,768 candidates.

The graph is a chain: input, the five stages, output; the operation of a stage is its number of channels.

References:
  Dong et al. 2021, "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", section 3.2.
  https://github.com/D-X-Y/NATS-Bench (nats_bench/api_size.py), for the strings and numbers of architectures.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from tfnas.errors import InvalidArchitectureError
from tfnas.spaces.architecture import Architecture, CellTable
from tfnas.spaces.base import Space
from tfnas.spaces.encodings import Encoding, is_integer
from tfnas.spaces.fixed_graph import FixedGraphSpace

INPUT, OUTPUT = "input", "output"
CHANNELS = (8, 16, 24, 32, 40, 48, 56, 64)
NUM_STAGES = 5
_WIDTH = NUM_STAGES + 2
ADJACENCY = np.eye(_WIDTH, k=1, dtype=np.uint8)
ADJACENCY.flags.writeable = False


def widths(architecture: Architecture) -> list[int]:
    """Channels of the five stages of a valid architecture."""
    return [int(name.removeprefix("channels_")) for name in architecture.operations[1:-1]]


class NATSSize(FixedGraphSpace):
    """Widths of five stages. `enumerate` runs through them with the last stage fastest.

    Example:
      >>> space = NATSSize()
      >>> space.to_string(space.architecture(space.enumerate(), 1))
      '8:8:8:8:16'
    """

    name = "nats_size"
    operations = (INPUT, *(f"channels_{channels}" for channels in CHANNELS), OUTPUT)
    max_vertices = _WIDTH
    size = len(CHANNELS) ** NUM_STAGES
    graph = ADJACENCY

    def enumerate(self) -> CellTable:
        return self._table(np.array(list(itertools.product(range(1, 9), repeat=NUM_STAGES)), np.uint8))

    def to_string(self, architecture: Architecture) -> str:
        """The benchmark's notation: the widths, joined by colons."""
        self.require_valid(architecture)
        return ":".join(map(str, widths(architecture)))

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
            numbers = [codes.get(width, 0) for width in text.split(":")]
            if len(numbers) != NUM_STAGES or not all(numbers):
                self.from_string(text)
            stages[row] = numbers
        return self._table(stages)

    def index(self, architecture: Architecture) -> int:
        """The benchmark's number of the architecture, 0 to 32,767."""
        self.require_valid(architecture)
        stages = [CHANNELS.index(width) for width in widths(architecture)]
        return int(np.ravel_multi_index(stages, (len(CHANNELS),) * NUM_STAGES))

    def from_index(self, number: int) -> Architecture:
        """Inverse of `index`.

        Raises:
          InvalidArchitectureError: the benchmark has no architecture of that number.
        """
        if not 0 <= number < self.size:
            raise InvalidArchitectureError(f"architecture {number}, expected 0 to {self.size - 1}")
        stages = np.unravel_index(number, (len(CHANNELS),) * NUM_STAGES)
        return Architecture((INPUT, *(f"channels_{CHANNELS[stage]}" for stage in stages), OUTPUT), ADJACENCY)

    encodings: ClassVar[Mapping[str, Encoding]] = {
        "nats_bench": Encoding(
            "text, 'c1:c2:c3:c4:c5'",
            lambda value: isinstance(value, str) and re.fullmatch(r"\d+(:\d+)+", value) is not None,
            from_string,
            to_string,
        ),
        "index": Encoding("the benchmark's number of the architecture", is_integer, from_index, index),
        **Space.encodings,
    }
