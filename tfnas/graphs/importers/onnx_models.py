"""ONNX models made ready for the importer: constants, functions, the order of nodes."""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfnas.errors import CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.importers.raw import topological

_WEIGHTED = {
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization", "RMSNormalization"),
    *("InstanceNormalization", "GroupNormalization", "PRelu", "LSTM", "GRU", "RNN"),
}
"""Operators whose operands other than data are weights, whatever the numbers."""
MAX_NODES = 1_000_000
_MAX_DEPTH = 64
LARGE = 4096
"""Constants of more numbers than this can't decide a shape; their values are dropped before shapes are inferred."""


class Constants:
    """Initialisers of a graph; the numbers of large constants are dropped, and the graph sees them as inputs.

    Args:
      graph: graph of the model, which is changed in place.
      path: file of the model, for error messages.

    Attributes:
      sizes: numbers that each constant holds, by name.
      floating: True for every constant of floating-point numbers, by name.
      values: numbers of small constants, by name.
    """

    def __init__(self, graph: Any, path: pathlib.Path):
        import onnx

        self._path = path
        self._always = {name for node in graph.node if node.op_type in _WEIGHTED for name in node.input[1:]}
        inputs = {value.name for value in graph.input}
        self.sizes: dict[str, int] = {}
        self.floating: dict[str, bool] = {}
        self.values: dict[str, np.ndarray] = {}
        small = []
        for tensor in graph.initializer:
            size = math.prod(tensor.dims)
            self.sizes[tensor.name] = size
            self.floating[tensor.name] = tensor.data_type in floating_types()
            if size <= LARGE and not tensor.external_data:
                self.values[tensor.name] = self.array(tensor)
                small.append(tensor)
            elif tensor.name not in inputs:
                graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        del graph.initializer[:]
        graph.initializer.extend(small)

    def array(self, tensor: Any) -> np.ndarray:
        """The numbers of a constant."""
        import onnx

        try:
            return onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptArtefactError(f"{self._path}: the constant {tensor.name!r} is damaged ({error})") from error

    def weights(self, name: str) -> int:
        """Floating-point numbers of a constant that count as weights; uniform elementwise operands have no weights."""
        value = self.values.get(name)
        if name in self._always and self.floating[name]:
            return self.sizes[name]
        uniform = self.sizes[name] <= 1 or (value is not None and (value == value.flat[0]).all())
        return 0 if uniform or not self.floating[name] else self.sizes[name]


def floating_types() -> set[int]:
    """The ONNX codes of floating-point types."""
    import onnx

    proto = onnx.TensorProto
    return {proto.FLOAT, proto.FLOAT16, proto.DOUBLE, proto.BFLOAT16}


def check_functions(model: Any, path: pathlib.Path) -> None:
    """Refuses functions that call themselves, or that are too many operators once they are written out.

    Raises:
      InvalidArchitectureError: such a function.
    """
    bodies = {(function.domain, function.name): function.node for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Any, stack: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in stack:
                raise InvalidArchitectureError(f"{path}: the function {node.op_type!r} calls itself")
            if len(stack) >= _MAX_DEPTH:
                raise InvalidArchitectureError(f"{path}: functions are nested more than {_MAX_DEPTH} deep")
            if key in bodies and key not in sizes:
                sizes[key] = size(bodies[key], (*stack, key))
            total += sizes.get(key, 1)
        return total

    if size(model.graph.node, ()) > MAX_NODES:
        raise InvalidArchitectureError(f"{path}: more than {MAX_NODES} operators once its functions are written out")


def ordered_nodes(graph: Any, path: pathlib.Path) -> list[Any]:
    """Nodes after the nodes that they read; files should be in that order, but need not be.

    Raises:
      InvalidArchitectureError: a node reads a tensor that does not exist, or the graph has a cycle.
    """
    maker = {name: number for number, node in enumerate(graph.node) for name in node.output if name}
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    sources, readers = [], [[] for _ in graph.node]
    for number, node in enumerate(graph.node):
        sources.append({maker[name] for name in node.input if name in maker})
        lost = [name for name in node.input if name not in maker and name not in known]
        if lost:
            raise InvalidArchitectureError(f"{path}: node {node_name(node)!r} reads {lost[0]!r}, which nothing makes")
        for source in sources[-1]:
            readers[source].append(number)
    order = topological(sources, readers)
    if len(order) < len(graph.node):
        stuck = min(set(range(len(graph.node))) - set(order))
        raise InvalidArchitectureError(f"{path}: the graph has a cycle at node {node_name(graph.node[stuck])!r}")
    return [graph.node[number] for number in order]


def constant_tensor(attributes: Mapping[str, Any]) -> Any:
    """The tensor of a node `Constant`, None if it is sparse or text."""
    import onnx

    if "value" in attributes:
        return attributes["value"].t
    for name, field, dtype in (
        ("value_float", "f", np.float32),
        ("value_floats", "floats", np.float32),
        ("value_int", "i", np.int64),
        ("value_ints", "ints", np.int64),
    ):
        if name in attributes:
            return onnx.numpy_helper.from_array(np.array(getattr(attributes[name], field), dtype))
    return None


def node_name(node: Any) -> str:
    """The name of a node, or that of its first output."""
    return node.name or (node.output[0] if node.output else node.op_type)
