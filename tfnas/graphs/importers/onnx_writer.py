"""Writes the operators that stand for one operator of an ONNX model."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfnas.graphs.importers.onnx_models import attributes_of, node_name
from tfnas.graphs.importers.raw import Shape

OPSET = 24
"""Version of the operators of ONNX that are written."""


class Writer:
    """Operators of ONNX in place of an operator that ONNX does not have, or that is quantised.

    Args:
      node: operator that is replaced.
      shape: function from the name of an operand to its shape.
      declare: function that adds a constant of floats, of which only the shape is known, by name.

    Attributes:
      nodes: operators so far, in the order in which they run.
      attributes: values of the operator's attributes.
      quantised: names of the operands that a cast makes floats.
    """

    def __init__(self, node: Any, shape: Callable[[str], Shape | None], declare: Callable[[str, Shape], None]):
        self.node, self._shape, self._declare = node, shape, declare
        self.nodes: list[Any] = []
        self.quantised: list[str] = []
        self.attributes = attributes_of(node)

    def input(self, index: int) -> str:
        """The name of an operand, "" for an operand that is left out."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def shape(self, index: int) -> Shape | None:
        """The shape of an operand, None for an operand of unknown shape or that is left out."""
        return self._shape(self.input(index)) if self.input(index) else None

    def write(self, kind: str, *operands: str, outputs: int = 1, **attributes: Any) -> Any:
        """Adds an operator.

        Args:
          kind: name of the operator in ONNX.
          *operands: names of its operands; operands at the end that are "" are left out.
          outputs: number of its outputs.
          **attributes: values of its attributes, None for an attribute that is left out.

        Returns:
          The name of the output, or the list of names of several outputs.
        """
        import onnx

        names = [self._fresh(index) for index in range(outputs)]
        while operands and not operands[-1]:
            operands = operands[:-1]
        given = {name: value for name, value in attributes.items() if value is not None}
        node = onnx.helper.make_node(kind, operands, names, **given)
        node.name = node_name(self.node)
        self.nodes.append(node)
        return names if outputs > 1 else names[0]

    def constant(self, numbers: Any, dtype: type = np.int64) -> str:
        """Adds a constant, and returns its name."""
        import onnx

        return self.write("Constant", value=onnx.numpy_helper.from_array(np.array(numbers, dtype)))

    def weights(self, *shape: int) -> str:
        """Adds a constant of floats that the operator holds in a form of its own, and returns its name."""
        name = f"{next(filter(None, self.node.output))}/weights"
        self._declare(name, shape)
        return name

    def floats(self, name: str) -> str:
        """Adds a cast to floats, and returns the name of the result; "" for an operand that is left out."""
        import onnx

        if not name:
            return ""
        self.quantised.append(name)
        return self.write("Cast", name, to=onnx.TensorProto.FLOAT)

    def add(self, *names: str) -> str:
        """Adds up the operands that are there."""
        total, *rest = filter(None, names)
        for name in rest:
            total = self.write("Add", total, name)
        return total

    def finish(self, *names: str) -> None:
        """Lets operands stand for the outputs of the operator, in their order; "" for an output without operators."""
        for name, output in zip(names, self.node.output, strict=False):
            if name and output:
                self.write("Identity", name)
                self.nodes[-1].output[0] = output

    def _fresh(self, index: int) -> str:
        return f"{next(filter(None, self.node.output))}/{len(self.nodes)}.{index}"
