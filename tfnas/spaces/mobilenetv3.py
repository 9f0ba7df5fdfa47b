"""The once-for-all MobileNetV3 space: five stages of two to four inverted bottlenecks, each with a kernel size and an
expansion ratio; about 2 * 10^19 networks.

The graph is a chain: input, twenty places for blocks, output. A stage fills its four places from the front; `skip`
stands on those it leaves empty.

References:
  Cai et al. 2020, "Once-for-All: Train One Network and Specialize it for Efficient Deployment", section 4.1.
  https://github.com/mit-han-lab/once-for-all (ofa/imagenet_classification/elastic_nn/networks/ofa_mbv3.py,
  `set_active_subnet`), for configurations.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces.architecture import Architecture, CellTable
from tfnas.spaces.base import Seed, Space
from tfnas.spaces.encodings import Encoding, is_integer, is_list, shown
from tfnas.spaces.fixed_graph import FixedGraphSpace

if TYPE_CHECKING:
    from tfnas.reports import diagrams

INPUT, OUTPUT, SKIP = "input", "output", "skip"
KERNELS, EXPANSIONS, DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
NUM_STAGES, MAX_DEPTH = 5, DEPTHS[-1]
BLOCKS = tuple(f"kernel_{kernel}_expand_{ratio}" for kernel, ratio in itertools.product(KERNELS, EXPANSIONS))
SKIP_CODE = len(BLOCKS) + 1
ADJACENCY = np.eye(NUM_STAGES * MAX_DEPTH + 2, k=1, dtype=np.uint8)
ADJACENCY.flags.writeable = False


_RESOLUTION = 224
_OFA_LENGTHS = {"ks": NUM_STAGES * MAX_DEPTH, "e": NUM_STAGES * MAX_DEPTH, "d": NUM_STAGES}


def _from_ofa(space: "MobileNetV3", configuration: Mapping[str, Any]) -> Architecture:
    """The network that `set_active_subnet(ks, e, d)` activates; a number stands for a list of equal numbers.

    The resolution `r` is no property of an architecture and is not read, and neither are the entries of blocks beyond
    the depth of their stage.
    """
    lists = {}
    for key, length in _OFA_LENGTHS.items():
        value = configuration[key]
        lists[key] = [value] * length if is_integer(value) else value
        if not is_list(lists[key], length, is_integer):
            raise InvalidArchitectureError(f"{key}={shown(value)}, expected a number or {length} numbers")
    wrong = [depth for depth in lists["d"] if depth not in DEPTHS]
    if wrong:
        raise InvalidArchitectureError(f"depth {wrong[0]} in d, expected one of {', '.join(map(str, DEPTHS))}")
    blocks = list(zip(lists["ks"], lists["e"], strict=True))
    starts = range(0, len(blocks), MAX_DEPTH)
    return space.from_stages([blocks[start : start + depth] for start, depth in zip(starts, lists["d"], strict=True)])


def _to_ofa(space: "MobileNetV3", architecture: Architecture) -> dict[str, list[int]]:
    """Inverse of `_from_ofa`, for images of 224 pixels; blocks beyond the depth have the smallest kernel and ratio."""
    stages = space.to_stages(architecture)
    absent = (KERNELS[0], EXPANSIONS[0])
    blocks = [block for stage in stages for block in (*stage, *[absent] * (MAX_DEPTH - len(stage)))]
    return {
        "ks": [kernel for kernel, _ in blocks],
        "e": [ratio for _, ratio in blocks],
        "d": [len(stage) for stage in stages],
        "r": [_RESOLUTION],
    }


class MobileNetV3(FixedGraphSpace):
    """Kernel sizes, expansion ratios and depths of five stages.

    Example:
      >>> space = MobileNetV3()
      >>> smallest = space.from_stages([[(3, 3), (3, 3)]] * 5)
      >>> len(space.to_stages(space.mutate(smallest, np.random.default_rng(0))))
      5
    """

    name = "mobilenetv3"
    operations = (INPUT, *BLOCKS, SKIP, OUTPUT)
    max_vertices = len(ADJACENCY)
    enumerable = False
    size = sum(len(BLOCKS) ** depth for depth in DEPTHS) ** NUM_STAGES
    graph = ADJACENCY

    def enumerate(self) -> CellTable:
        raise ConfigurationError(f"{self.name} holds {self.size:.0e} networks and can't be enumerated; sample it")

    def sample(self, count: int, seed: Seed) -> CellTable:
        """Depths, kernel sizes and expansion ratios drawn uniformly."""
        rng = np.random.default_rng(seed)
        rows = np.zeros((0, NUM_STAGES * MAX_DEPTH), np.uint8)
        while len(rows) < count:
            blocks = rng.integers(1, SKIP_CODE, (count, NUM_STAGES, MAX_DEPTH))
            depths = rng.choice(DEPTHS, (count, NUM_STAGES))
            blocks[np.arange(MAX_DEPTH) >= depths[..., None]] = SKIP_CODE
            rows = np.concatenate([rows, blocks.reshape(count, -1).astype(np.uint8)])
            rows = rows[np.sort(np.unique(rows, axis=0, return_index=True)[1])]
        return self._table(rows[:count])

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Replaces a block, or makes a stage one block longer or shorter; places are drawn uniformly."""
        self.require_valid(architecture)
        operations = list(architecture.operations)
        while True:
            slot = int(rng.integers(NUM_STAGES * MAX_DEPTH))
            position = slot % MAX_DEPTH
            present = operations[1 + slot] != SKIP
            choices = [name for name in BLOCKS if name != operations[1 + slot]]
            ends_here = position == MAX_DEPTH - 1 or operations[2 + slot] == SKIP
            if present and ends_here and position >= DEPTHS[0]:
                choices.append(SKIP)
            if not present and operations[slot] == SKIP:
                continue  # a gap would arise before this block
            operations[1 + slot] = choices[int(rng.integers(len(choices)))]
            return Architecture(tuple(operations), self.graph)

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Every stage from either parent; a mutant of the first where that gives the first again ten times."""
        stages = [self.to_stages(first), self.to_stages(second)]
        for _ in range(10):
            child = self.from_stages([pair[int(rng.integers(2))] for pair in zip(*stages, strict=True)])
            if child != first:
                return child
        return self.mutate(first, rng)

    def diagrams(self, architecture: Architecture) -> "list[diagrams.Diagram]":
        """The blocks of each stage in a column; empty places are left out."""
        from tfnas.reports import diagrams

        columns = [min(max(slot - 1, 0) // MAX_DEPTH, NUM_STAGES - 1) for slot in range(self.max_vertices)]
        blocks = [(name, stage) for name, stage in zip(architecture.operations, columns, strict=True) if name != SKIP]
        names, stages = zip(*blocks, strict=True)
        chain = [(block, block + 1) for block in range(len(names) - 1)]
        return [diagrams.operations_on_vertices(names, chain, columns=stages)]

    def validate(self, architecture: Architecture) -> str | None:
        reason = super().validate(architecture)
        if reason is not None:
            return reason
        for stage in range(NUM_STAGES):
            blocks = architecture.operations[1 + stage * MAX_DEPTH : 1 + (stage + 1) * MAX_DEPTH]
            depth = sum(name != SKIP for name in blocks)
            if depth < DEPTHS[0]:
                return f"stage {stage} has {depth} blocks, expected at least {DEPTHS[0]}"
            if SKIP in blocks[:depth]:
                return f"stage {stage} has a gap at block {blocks.index(SKIP)}; empty places come last"
        return None

    def validate_many(self, cells: CellTable) -> np.ndarray:
        empty = cells.operations[:, 1:-1].reshape(-1, NUM_STAGES, MAX_DEPTH) == SKIP_CODE
        ordered = (np.diff(empty.astype(int), axis=2) >= 0).all(axis=(1, 2))
        return super().validate_many(cells) & ordered & ~empty[..., : DEPTHS[0]].any(axis=(1, 2))

    def from_stages(self, stages: Sequence[Sequence[tuple[int, int]]]) -> Architecture:
        """The architecture of five lists of (kernel size, expansion ratio).

        Raises:
          InvalidArchitectureError: a broken rule of the space.
        """
        names: list[str] = []
        for stage in stages:
            if len(stage) > MAX_DEPTH:
                raise InvalidArchitectureError(f"a stage has {len(stage)} blocks, at most {MAX_DEPTH} are allowed")
            names += [f"kernel_{kernel}_expand_{ratio}" for kernel, ratio in stage]
            names += [SKIP] * (MAX_DEPTH - len(stage))
        if len(names) != NUM_STAGES * MAX_DEPTH:
            raise InvalidArchitectureError(f"{len(stages)} stages, expected {NUM_STAGES}")
        architecture = Architecture((INPUT, *names, OUTPUT), self.graph)
        self.require_valid(architecture)
        return architecture

    def to_stages(self, architecture: Architecture) -> list[list[tuple[int, int]]]:
        """Inverse of `from_stages`."""
        self.require_valid(architecture)
        stages = []
        for stage in range(NUM_STAGES):
            names = architecture.operations[1 + stage * MAX_DEPTH : 1 + (stage + 1) * MAX_DEPTH]
            words = [name.split("_") for name in names if name != SKIP]
            stages.append([(int(word[1]), int(word[3])) for word in words])
        return stages

    encodings: ClassVar[Mapping[str, Encoding]] = {
        "once_for_all": Encoding(
            "configuration, {'ks': [...], 'e': [...], 'd': [...]}",
            lambda value: isinstance(value, dict) and _OFA_LENGTHS.keys() <= value.keys(),
            _from_ofa,
            _to_ofa,
        ),
        **Space.encodings,
    }
