"""The graph of a network as its source has it, before the simplification; the common form of all importers."""

import collections
import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence

from tfnas.errors import InvalidArchitectureError

Reference = tuple[int, int]
"""A tensor: the node that makes it and the number of that node's output."""

Shape = tuple[int | None, ...]


@dataclasses.dataclass(slots=True)
class RawNode:
    """One operation of the source.

    Attributes:
      name: name of the node in the source.
      kind: name of the operation in the source.
      operator: name in the vocabulary, or `DROP`, `SHAPE` or `UNKNOWN` of `tfnas.graphs.operators`.
      inputs: tensors that the node reads.
      shapes: shapes of the outputs with the batch first, None where an extent or the whole shape is unknown.
      floating: True for every output of floating-point numbers, False for indices, masks and shapes.
      weights: numbers that a variable or constant holds; 0 for a constant without weights and for other operations.
      uniform: True for a constant that is the same number several times. Exporters merge such constants, so that every
        operand counts; the operand of an elementwise operator counts if it has a number for every channel.
      is_input: True for a node that stands for data.
      kernel: height and width of the kernel or window, (0, 0) for none.
      channel_axis: axis of the channels in the first data input and the outputs, -1 for the last axis; None if the
        inputs decide. The axis of an input of the network holds unless the readers of the input name another axis.
      batch_axis: axis of the batch in the first data input, None if the inputs decide.
      permutation: axis of the input behind every axis of the output, for a transpose.
      has_bias: True for an operation that adds a bias itself.
      group_channels: channels that each filter of a convolution sees, if known.
      constant: number that the simplification looks at: the exponent of a power, 6 for a clip from 0 to 6.
      products: multiply-adds for the shapes of the node, the batch included; None where the shapes of the simplified
        operator imply them.
    """

    name: str
    kind: str
    operator: str
    inputs: list[Reference]
    shapes: list[Shape | None]
    floating: list[bool]
    weights: int = 0
    uniform: bool = False
    is_input: bool = False
    kernel: tuple[int, int] = (0, 0)
    channel_axis: int | None = None
    batch_axis: int | None = None
    permutation: tuple[int, ...] | None = None
    has_bias: bool = False
    group_channels: int | None = None
    constant: float | None = None
    products: int | None = None


@dataclasses.dataclass
class RawGraph:
    """The operations of a source.

    Attributes:
      nodes: nodes in topological order.
      outputs: tensors that the network returns.
      notes: lines of the reader for the user.
      held: numbers that the model holds by its source's count, None for the sum of the nodes' weights.
      hint: advice on a shape that is not known.
    """

    nodes: list[RawNode]
    outputs: list[Reference]
    notes: tuple[str, ...] = ()
    held: int | None = None
    hint: str = "give the input's shape"


def shapes_by_name(
    names: Sequence[str],
    shapes: Mapping[str, Sequence[int]] | Sequence[int] | None,
    where: str | os.PathLike[str],
) -> dict[str, Sequence[int]]:
    """The shapes that a user gives for a model's inputs.

    Args:
      names: names of the inputs.
      shapes: shapes by name, or the shape of the only input; None for no shapes.
      where: file of the model, for error messages.

    Raises:
      InvalidArchitectureError: a single shape for several inputs, or a name that no input has.
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


def topological(sources: Sequence[Collection[int]], readers: Sequence[Sequence[int]]) -> list[int]:
    """Nodes after their sources; nodes that become ready first come first.

    Args:
      sources: distinct sources of every node.
      readers: nodes that read every node, in the order in which they become ready.

    Returns:
      Numbers of nodes; nodes on and behind a cycle are missing.

    Example:
      >>> topological([{1}, set()], [[], [0]])
      [1, 0]
    """
    missing = [len(nodes) for nodes in sources]
    ready = collections.deque(node for node, count in enumerate(missing) if not count)
    order = []
    while ready:
        node = ready.popleft()
        order.append(node)
        for reader in readers[node]:
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    return order


def in_order_of_readiness(names: Sequence[str], sources: Sequence[Collection[int]]) -> list[int]:
    """Nodes after their sources as `topological` has them, where nodes become ready together in order of their names.

    Args:
      names: name of every node.
      sources: distinct sources of every node.

    Example:
      >>> in_order_of_readiness(["x", "b", "a"], [set(), {0}, {0}])
      [0, 2, 1]
    """
    readers: list[list[int]] = [[] for _ in names]
    for reader in sorted(range(len(names)), key=names.__getitem__):
        for source in sources[reader]:
            readers[source].append(reader)
    return topological(sources, readers)
