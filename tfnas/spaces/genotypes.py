"""Pairs of DARTS cells as DARTS and NASLib write them.

A slot is an operation and the state that it reads; a cell has eight slots, block by block.

References:
  Liu et al. 2019, https://github.com/quark0/darts (cnn/genotypes.py), for genotypes.
  https://github.com/automl/NASLib (naslib/search_spaces/nasbench301/conversions.py), for compact genotypes.
"""

from collections.abc import Sequence
from typing import Any

from tfnas.errors import InvalidArchitectureError
from tfnas.spaces.encodings import is_integer, is_list, shown

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""Operation names in the order of the codes of compact genotypes, which lack `none`."""

SLOTS = 8
STATES_OF_OUTPUT = [2, 3, 4, 5]
"""States that the output of a cell joins: its four blocks."""

CELLS = ("normal", "reduce")
Slots = list[tuple[str, int]]

GENOTYPE_FORM = "Genotype(normal=[('op', state), ...], normal_concat=range(2, 6), reduce=..., reduce_concat=...)"
COMPACT_FORM = "a pair of eight (state, operation number) pairs"


def is_genotype(value: Any) -> bool:
    """Whether a plain value is a dictionary with both cells."""
    return isinstance(value, dict) and set(CELLS) <= value.keys()


def is_compact(value: Any) -> bool:
    """Whether a plain value is a pair of lists of pairs of numbers."""

    def is_cell(cell: Any) -> bool:
        return is_list(cell, SLOTS, lambda slot: is_list(slot, 2, is_integer))

    return is_list(value, 2, is_cell)


def from_genotype(value: dict[str, Any]) -> list[Slots]:
    """The slots of the normal and the reduction cell.

    Raises:
      InvalidArchitectureError: not eight slots in both cells, or an output that joins other states than the four
        blocks.
    """
    cells = []
    for name in CELLS:
        joined = value.get(f"{name}_concat", STATES_OF_OUTPUT)
        if not is_list(joined, len(STATES_OF_OUTPUT), is_integer) or sorted(joined) != STATES_OF_OUTPUT:
            raise InvalidArchitectureError(f"{name}_concat is {shown(joined)}, expected {STATES_OF_OUTPUT}")
        slots = value[name]
        if not isinstance(slots, list) or len(slots) != SLOTS:
            raise InvalidArchitectureError(f"{name} is {shown(slots)}, expected {SLOTS} pairs ('operation', state)")
        for slot in slots:
            if not isinstance(slot, list) or len(slot) != 2 or not isinstance(slot[0], str) or not is_integer(slot[1]):
                raise InvalidArchitectureError(f"{name} holds {shown(slot)}, expected a pair ('operation', state)")
        cells.append([(operation, state) for operation, state in slots])
    return cells


def to_genotype(cells: Sequence[Slots]) -> str:
    """Inverse of `from_genotype`: the text of a genotype, as DARTS prints it."""
    fields = (f"{name}={slots}, {name}_concat={STATES_OF_OUTPUT}" for name, slots in zip(CELLS, cells, strict=True))
    return f"Genotype({', '.join(fields)})"


def from_compact(value: list[list[list[int]]]) -> list[Slots]:
    """The slots of the normal and the reduction cell.

    Raises:
      InvalidArchitectureError: a number of an operation that does not exist.
    """
    wrong = [code for cell in value for _, code in cell if not 0 <= code < len(OPERATIONS)]
    if wrong:
        raise InvalidArchitectureError(f"NASLib's operation {wrong[0]}, expected 0 to {len(OPERATIONS) - 1}")
    return [[(OPERATIONS[code], state) for state, code in cell] for cell in value]


def to_compact(cells: Sequence[Slots]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Inverse of `from_compact`.

    Raises:
      InvalidArchitectureError: an operation without a number.
    """
    for operation, _ in (slot for cell in cells for slot in cell):
        if operation not in OPERATIONS:
            raise InvalidArchitectureError(f"NASLib has no number for {operation!r}, only for {', '.join(OPERATIONS)}")
    return tuple(tuple((state, OPERATIONS.index(operation)) for operation, state in cell) for cell in cells)
