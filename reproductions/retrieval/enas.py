"""Networks of ENAS's cells as computation graphs: as in NASNet, blocks read any two earlier states.

References:
  Pham et al. 2018, "Efficient Neural Architecture Search via Parameter Sharing", section 2.4.
  Zoph et al. 2018, "Learning Transferable Architectures for Scalable Image Recognition", section 3.
"""

import dataclasses
import functools

import numpy as np

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.symbolic.darts import CellParts, Stack, stem
from tfnas.networks.symbolic.templates import Assembly, Sketch, Template, classifier_head

OPERATIONS = ("skip_connect", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
BLOCKS, INPUTS = 5, 2

Cell = tuple[tuple[int, int, int, int], ...]
"""Two states and two operations of every block: `(state, operation, state, operation)`."""


@dataclasses.dataclass(frozen=True)
class EnasCells:
    """A normal cell and a reduction cell.

    Raises:
      InvalidArchitectureError: not five blocks, a state that is not there yet, or an unknown operation.
    """

    normal: Cell
    reduction: Cell

    def __post_init__(self) -> None:
        for cell in (self.normal, self.reduction):
            if len(cell) != BLOCKS or any(
                not 0 <= state < INPUTS + block or not 0 <= operation < len(OPERATIONS)
                for block, (a, f, b, g) in enumerate(cell)
                for state, operation in ((a, f), (b, g))
            ):
                raise InvalidArchitectureError(f"{cell}: expected {BLOCKS} blocks of (state, operation) pairs")


def sample(rng: np.random.Generator) -> EnasCells:
    """Random cells, every choice uniform."""

    def cell() -> Cell:
        return tuple((*_choice(rng, block), *_choice(rng, block)) for block in range(BLOCKS))

    return EnasCells(cell(), cell())


def mutate(cells: EnasCells, rng: np.random.Generator) -> EnasCells:
    """Cells in which one choice, a state or an operation, is another."""
    name = ("normal", "reduction")[rng.integers(2)]
    cell = [list(block) for block in getattr(cells, name)]
    while True:
        block, field = int(rng.integers(BLOCKS)), int(rng.integers(4))
        options = len(OPERATIONS) if field % 2 else INPUTS + block
        value = int(rng.integers(options))
        if value != cell[block][field]:
            cell[block][field] = value
            return dataclasses.replace(cells, **{name: tuple(tuple(choices) for choices in cell)})


def _choice(rng: np.random.Generator, block: int) -> tuple[int, int]:
    return int(rng.integers(INPUTS + block)), int(rng.integers(len(OPERATIONS)))


def enas(cells: EnasCells, *, repeats: int = 2, channels: int = 36, image_size: int = 32) -> ComputationGraph:
    """The network: three stages of normal cells with a reduction cell between two.

    Args:
      cells: a normal and a reduction cell.
      repeats: normal cells per stage.
      channels: channels of the first stage.
      image_size: height and width of the images.

    Raises:
      ConfigurationError: no normal cells, or an odd number of channels.
    """
    if repeats < 1 or channels < 2 or channels % 2:
        raise ConfigurationError(f"repeats={repeats}, channels={channels}, expected a cell and even channels")
    assembly = Assembly()
    width = 3 * channels
    inputs = assembly.stamp(stem(False), (), {"size": image_size, "channels": 3, "width": width})

    def cell(reduces: bool, input_halves: bool) -> tuple[Template, int]:
        return _cell(cells.reduction if reduces else cells.normal, reduces, input_halves)

    stack = Stack(3 * repeats + 2, (repeats, 2 * repeats + 1), channels, cell)
    node, values = stack.stamp(assembly, inputs, (image_size, image_size), width)
    assembly.stamp(classifier_head(), (node,), {**values, "classes": 10})
    return assembly.graph()


@functools.lru_cache(4096)
def _cell(cell: Cell, reduces: bool, input_halves: bool) -> tuple[Template, int]:
    """The template, and the number of concatenated states, which are the states that no block reads."""
    sketch = Sketch()
    before, now = sketch.port("size_before", "before"), sketch.port("size", "now")
    builder = CellParts(sketch)
    values = [
        builder.halve(before, "size", "size_before_cut") if input_halves else builder.project(before),
        builder.project(now),
    ]
    for a, f, b, g in cell:
        pair = [
            builder.operation(OPERATIONS[operation], values[state], "after" if reduces and state < INPUTS else None)
            for state, operation in ((a, f), (b, g))
        ]
        values.append(sketch.node("add", *pair))
    read = {state for a, _, b, _ in cell for state in (a, b)}
    loose = [values[state] for state in range(INPUTS, len(values)) if state not in read]
    return sketch.template(sketch.node("concat", *loose, channels="outputs")), len(loose)
