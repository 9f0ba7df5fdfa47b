"""The graph of a network as its source tells it, before it is simplified; every importer ends here."""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from tfnas.errors import InvalidArchitectureError

Reference = tuple[int, int]
"""A tensor: the node that makes it and the number of that node's output."""

Shape = tuple[int | None, ...]


@dataclasses.dataclass(slots=True)
class RawNode:
    """One operation of the source.

    Attributes:
      name: the source's name of the node.
      kind: the source's name of the operation.
      operator: what the vocabulary calls it, or `DROP`, `SHAPE` or `UNKNOWN` of `tfnas.graphs.operators`.
      inputs: tensors that it reads.
      shapes: of its outputs with the batch first, None where an extent or the whole shape is unknown.
      floating: whether each output holds floating-point numbers; others are indices, masks and shapes.
      weights: numbers that a variable or constant holds; 0 if it holds no weights, as for any other operation.
      is_input: it stands for data.
      kernel: height and width of the kernel or window, (0, 0) for none.
      channels_first: of rank-4 tensors that it makes: channels stand second, None if its inputs decide.
      has_bias: it adds a bias itself.
      group_channels: channels that each filter of a convolution sees, if known.
      constant: a number that the simplification looks at: the exponent of a power, 6 for a clip from 0 to 6.
    """

    name: str
    kind: str
    operator: str
    inputs: list[Reference]
    shapes: list[Shape | None]
    floating: list[bool]
    weights: int = 0
    is_input: bool = False
    kernel: tuple[int, int] = (0, 0)
    channels_first: bool | None = None
    has_bias: bool = False
    group_channels: int | None = None
    constant: float | None = None


@dataclasses.dataclass
class RawGraph:
    """Nodes in topological order, and the tensors that the network returns."""

    nodes: list[RawNode]
    outputs: list[Reference]


def shapes_by_name(
    names: Sequence[str],
    shapes: Mapping[str, Sequence[int]] | Sequence[int] | None,
    where: str | os.PathLike[str],
) -> dict[str, Sequence[int]]:
    """The shapes that a user gives for a model's inputs: by name, or one for the only input.

    Raises:
      InvalidArchitectureError: one shape for several inputs, or a name that is none of them.
    """
    if shapes is None:
        return {}
    if not isinstance(shapes, Mapping):
        if len(names) != 1:
            raise InvalidArchitectureError(f"{where}: {len(names)} inputs ({', '.join(names)}), give shapes by name")
        return {names[0]: shapes}
    wrong = set(shapes) - set(names)
    if wrong:
        raise InvalidArchitectureError(f"{where}: no input {min(wrong)!r}, it has {', '.join(names)}")
    return dict(shapes)
