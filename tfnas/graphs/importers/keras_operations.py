"""Operations of TensorFlow, written down as Keras 3 makes them for its layers, without TensorFlow."""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.raw import RawNode
from tfnas.graphs.operators import TENSORFLOW, UNKNOWN

MAX_OPERATIONS = 1_000_000


class Tensor(NamedTuple):
    """The only output of an operation.

    Attributes:
      number: number of the operation.
      shape: shape with the batch first; an open batch counts as 1.
    """

    number: int
    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Variable:
    """A weight of a layer: the operation that declares it, and whether training changes it."""

    tensor: Tensor
    trainable: bool

    @property
    def size(self) -> int:
        """Numbers of the weight."""
        return math.prod(self.tensor.shape)


class Operations:
    """Operations in the order in which they are made, under TensorFlow's names.

    Args:
      open_batch: True for a batch of unknown size, which Keras computes where it reshapes data.

    Attributes:
      nodes: operations as nodes of the source.
      variables: weights in the order in which they are made.

    Example:
      >>> operations = Operations(open_batch=False)
      >>> with operations.scope("layer"):
      ...     _ = operations.add("Relu", [operations.input("x", (1, 8))], (1, 8))
      >>> [node.name for node in operations.nodes]
      ['x', 'layer/Relu']
    """

    def __init__(self, *, open_batch: bool):
        self.open_batch = open_batch
        self.nodes: list[RawNode] = []
        self.variables: list[Variable] = []
        self._scope = ""
        self._uses: dict[str, int] = {}

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[str]:
        """The scope of a name that no other operation and scope has; its full name can name an operation."""
        outer = self._scope
        self._scope = self._unique(name)
        yield self._scope
        self._scope = outer

    def add(
        self,
        kind: str,
        inputs: Sequence[Tensor],
        shape: Sequence[int],
        label: str = "",
        *,
        name: str = "",
        floating: bool = True,
        **fields: Any,
    ) -> Tensor:
        """An operation.

        Args:
          kind: name of the operation in TensorFlow.
          inputs: tensors that the operation reads.
          shape: shape of the output.
          label: name in the scope, which a number makes unique; that of the operation by default.
          name: full name instead, that of a scope.
          floating: False for indices, masks and shapes.
          **fields: fields of `RawNode`.

        Raises:
          InvalidArchitectureError: more than `MAX_OPERATIONS` operations.
        """
        read = [(tensor.number, 0) for tensor in inputs]
        node = RawNode(
            name=name or self._unique(label or kind),
            kind=kind,
            operator=TENSORFLOW.get(kind, UNKNOWN),
            inputs=read,
            shapes=[tuple(shape)],
            floating=[floating],
            **fields,
        )
        if len(self.nodes) >= MAX_OPERATIONS:
            raise InvalidArchitectureError(f"more than {MAX_OPERATIONS} operations once its calls are written out")
        self.nodes.append(node)
        return Tensor(len(self.nodes) - 1, node.shapes[0])

    def several(
        self, kind: str, inputs: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], floating: Sequence[bool]
    ) -> Tensor:
        """An operation of several outputs, of which the first is read."""
        first = self.add(kind, inputs, shapes[0])
        self.nodes[first.number].shapes, self.nodes[first.number].floating = list(shapes), list(floating)
        return first

    def input(self, name: str, shape: Sequence[int]) -> Tensor:
        """Data that the network takes."""
        return self.add("Placeholder", (), shape, name=name, is_input=True)

    def number(self, label: str) -> Tensor:
        """A constant that is a single floating-point number."""
        return self.add("Const", (), (), label, uniform=True)

    def integers(self, label: str, *shape: int) -> Tensor:
        """A constant of integers: axes, or a shape."""
        return self.add("Const", (), shape, label, floating=False)

    def variable(self, name: str, shape: Sequence[int], *, trainable: bool) -> Variable:
        """A weight of a layer."""
        made = self.add("VarHandleOp", (), shape, name, floating=False, weights=math.prod(shape))
        self.variables.append(Variable(made, trainable))
        return self.variables[-1]

    def read(self, variable: Variable, label: str = "") -> Tensor:
        """The numbers of a weight.

        Args:
          variable: weight.
          label: name of the scope around the reading; the present scope by default.
        """
        kind, inputs, shape = "ReadVariableOp", [variable.tensor], variable.tensor.shape
        return self.add(kind, inputs, shape, f"{label}/{kind}" if label else kind)

    def elementwise(self, kind: str, *inputs: Tensor, label: str = "", name: str = "", **fields: Any) -> Tensor:
        """An operation on every number, or on pairs of numbers of two tensors whose shapes broadcast."""
        shape = inputs[0].shape
        for other in inputs[1:]:
            shape = broadcast(shape, other.shape)
        return self.add(kind, inputs, shape, label, name=name, **fields)

    def row(self, variable: Variable, rank: int) -> Tensor:
        """The numbers of a weight, one per channel, with as many axes as data have."""
        shape = (*(1 for _ in range(rank - 1)), *variable.tensor.shape)
        with self.scope("Reshape") as name:
            return self.add("Reshape", [self.read(variable), self.integers("shape", rank)], shape, name=name)

    def reshape(self, inputs: Tensor, shape: Sequence[int], label: str = "Reshape") -> Tensor:
        """The numbers of constants in another shape."""
        with self.scope(label) as name:
            return self.add("Reshape", [inputs, self.integers("shape", len(shape))], shape, name=name)

    def reshape_data(self, inputs: Tensor, shape: Sequence[int]) -> Tensor:
        """The numbers of every input in another shape; Keras computes the size of an open batch."""
        if not self.open_batch:
            return self.reshape(inputs, shape)
        extents = self.add("Shape", [inputs], (len(inputs.shape),), floating=False)
        with self.scope("strided_slice") as name:
            ends = [self.integers(label, 1) for label in ("stack", "stack_1", "stack_2")]
            batch = self.add("StridedSlice", [extents, *ends], (), name=name, floating=False)
        with self.scope("Reshape") as name:
            with self.scope("shape") as packed:
                sizes = [self.integers(str(axis)) for axis in range(1, len(shape))]
                target = self.add("Pack", [batch, *sizes], (len(shape),), name=packed, floating=False)
            return self.add("Reshape", [inputs, target], shape, name=name)

    def expand(self, inputs: Tensor, axis: int, label: str = "ExpandDims") -> Tensor:
        """A tensor with an axis of extent 1 more."""
        with self.scope(label) as name:
            shape = (*inputs.shape[:axis], 1, *inputs.shape[axis:])
            return self.add("ExpandDims", [inputs, self.integers("dim")], shape, name=name)

    def reduce(self, kind: str, inputs: Tensor, axes: int | tuple[int, ...], keep: bool, label: str = "") -> Tensor:
        """A mean or an extreme over one axis or several."""
        chosen = (axes,) if isinstance(axes, int) else axes
        extents = ((axis, extent) for axis, extent in enumerate(inputs.shape) if keep or axis not in chosen)
        shape = [1 if axis in chosen else extent for axis, extent in extents]
        with self.scope(label or kind) as name:
            indices = self.integers("reduction_indices", *(() if isinstance(axes, int) else (len(axes),)))
            return self.add(kind, [inputs, indices], shape, name=name)

    def _unique(self, name: str) -> str:
        """TensorFlow's rule for names that are taken; upper and lower case count as equal."""
        name = f"{self._scope}/{name}" if self._scope else name
        key = name.lower()
        count = self._uses.get(key, 0)
        self._uses[key] = count + 1
        if not count:
            return name
        while f"{key}_{count}" in self._uses:
            count += 1
        self._uses[f"{key}_{count}"] = 1
        return f"{name}_{count}"


def broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an elementwise operation on two tensors.

    Raises:
      ValueError: shapes that do not broadcast.

    Example:
      >>> broadcast((1, 8, 3), (3,))
      (1, 8, 3)
    """
    rank = max(len(first), len(second))
    pairs = zip((1,) * (rank - len(first)) + first, (1,) * (rank - len(second)) + second, strict=True)
    shape = tuple(max(pair) for pair in pairs)
    if any(extents != shape[rank - len(extents) :] and 1 not in extents for extents in (first, second)):
        raise ValueError(f"shapes {first} and {second} do not broadcast")
    return shape
