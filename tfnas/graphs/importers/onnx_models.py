"""ONNX models made ready for the importer: constants, functions, the order of nodes."""

import contextlib
import copy
import functools
import math
import pathlib
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

from tfnas.errors import CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.importers.onnx_values import LARGE
from tfnas.graphs.importers.raw import topological

_WEIGHTED = {
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization", "RMSNormalization"),
    *("InstanceNormalization", "GroupNormalization", "PRelu", "LSTM", "GRU", "RNN", "DeformConv"),
}
"""Operators whose operands other than data are weights, whatever the numbers."""
_NUMBERS = {"f": np.float32, "i": np.int64}
"""Types of numbers by the first letter of the attributes `value_float` and `value_int`."""
MAX_NODES = 1_000_000
MAX_NUMBERS = 2**40
"""Tensors of more numbers than this are refused."""
MAX_RANK = 64
"""Tensors of more axes than this are refused."""
_MAX_DEPTH = 64


class Constants:
    """The constants of a model: initialisers and nodes `Constant`. Only the numbers of small constants are read.

    Args:
      path: file of the model, for error messages.

    Attributes:
      sizes: numbers that each constant holds, by name.
      types: code of the type of numbers and shape of each constant, by name.
      values: numbers of small constants, by name.
      quantised: names of the constants whose integers are quantised weights.
      settings: names of the constants that are no weights.
    """

    def __init__(self, path: pathlib.Path):
        self._path = path
        self._always: set[str] = set()
        self.quantised: set[str] = set()
        self.settings: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.types: dict[str, tuple[int, tuple[int, ...]]] = {}
        self.values: dict[str, np.ndarray] = {}

    def mark(self, node: Any) -> None:
        """Notes that operands of a node are weights, whatever their numbers, if the node has weights."""
        if node.op_type in _WEIGHTED:
            self._always.update(node.input[1:])

    def add(self, name: str, tensor: Any) -> None:
        """Adds a constant. A file that the constant names for its numbers is not opened.

        Raises:
          CorruptArtefactError: a negative extent, more than 2^40 numbers or 64 axes, or numbers that are not there.
        """
        import onnx

        dims = tuple(tensor.dims)
        size = math.prod(dims)
        if min(dims, default=0) < 0 or size > MAX_NUMBERS or len(dims) > MAX_RANK:
            raise CorruptArtefactError(f"{self._path}: the constant {name!r} cannot have the shape {list(dims)}")
        self.sizes[name], self.types[name] = size, (tensor.data_type, dims)
        external = tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data
        if size > LARGE or external or tensor.data_type == onnx.TensorProto.STRING:
            return
        try:
            self.values[name] = onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptArtefactError(f"{self._path}: the constant {name!r} is damaged ({error})") from error

    def declare(self, name: str, shape: tuple[int, ...]) -> None:
        """Adds a constant of floats of which only the shape is known."""
        import onnx

        self.add(name, onnx.TensorProto(data_type=onnx.TensorProto.FLOAT, dims=shape, data_location="EXTERNAL"))

    def add_sparse(self, name: str, tensor: Any) -> None:
        """Adds a sparse constant, which holds only the numbers that are not 0."""
        self.add(name, tensor.values)
        self.types[name] = (tensor.values.data_type, tuple(tensor.dims))
        self.values.pop(name, None)

    def add_graph(self, graph: Any, names: Callable[[str], str] = str) -> list[str]:
        """Adds the initialisers of a graph, and returns their names after `names` has changed them."""
        for tensor in graph.initializer:
            self.add(names(tensor.name), tensor)
        for tensor in graph.sparse_initializer:
            self.add_sparse(names(tensor.values.name), tensor)
        return [names(name) for name in initialiser_names(graph)]

    def add_node(self, node: Any) -> None:
        """Adds the constant of a node `Constant`.

        Raises:
          InvalidArchitectureError: a node without a value.
        """
        import onnx

        name = node.output[0]
        for attribute in node.attribute:
            if attribute.name == "value":
                return self.add(name, attribute.t)
            if attribute.name == "sparse_value":
                return self.add_sparse(name, attribute.sparse_tensor)
            if attribute.name in ("value_string", "value_strings"):
                dims = [len(attribute.strings)] if attribute.name == "value_strings" else []
                return self.add(name, onnx.TensorProto(data_type=onnx.TensorProto.STRING, dims=dims))
            if attribute.name in ("value_float", "value_floats", "value_int", "value_ints"):
                numbers = np.array(onnx.helper.get_attribute_value(attribute))
                return self.add(name, onnx.numpy_helper.from_array(numbers.astype(_NUMBERS[attribute.name[6]])))
        raise InvalidArchitectureError(f"{self._path}: node {node_name(node)!r} is a Constant without a value")

    def floating(self, name: str) -> bool:
        """Whether a constant holds floating-point numbers."""
        return self.types[name][0] in floating_types()

    def weights(self, name: str) -> int:
        """Floating-point numbers of a constant; a single number counts if an operator with weights reads it."""
        if name in self.settings or not (self.floating(name) or name in self.quantised):
            return 0
        return self.sizes[name] if self.sizes[name] > 1 or name in self._always else 0

    def uniform(self, name: str) -> bool:
        """Whether a constant is the same number more than once."""
        value = self.values.get(name)
        return self.sizes[name] > 1 and value is not None and bool((value == value.flat[0]).all())


@functools.cache
def floating_types() -> frozenset[int]:
    """The ONNX codes of floating-point types."""
    import onnx

    proto = onnx.TensorProto
    return frozenset({proto.FLOAT, proto.FLOAT16, proto.DOUBLE, proto.BFLOAT16})


def attributes_of(node: Any) -> dict[str, Any]:
    """The values of a node's attributes by name; a damaged attribute is left out."""
    import onnx

    values = {}
    for attribute in node.attribute:
        with contextlib.suppress(ValueError):
            values[attribute.name] = onnx.helper.get_attribute_value(attribute)
    return values


def subgraphs(node: Any) -> list[Any]:
    """The graphs that a node holds: branches and bodies."""
    return [graph for item in node.attribute for graph in ([item.g] if item.HasField("g") else item.graphs)]


def initialiser_names(graph: Any) -> list[str]:
    """The names of a graph's constants."""
    return [item.name for item in graph.initializer] + [item.values.name for item in graph.sparse_initializer]


def captured(graph: Any) -> set[str]:
    """The tensors that a graph inside a node reads from outside."""
    read = {name for node in graph.node for name in reads(node)} | {value.name for value in graph.output}
    return read - made(graph) - {""}


def made(graph: Any) -> set[str]:
    """The tensors that a graph makes, its inputs and constants included."""
    names = {value.name for value in graph.input} | set(initialiser_names(graph))
    return names.union(*(node.output for node in graph.node)) - {""}


def reads(node: Any) -> list[str]:
    """The tensors that a node and the graphs in it read."""
    names = [name for name in node.input if name]
    for graph in subgraphs(node):
        names.extend(sorted(captured(graph)))
    return names


def check_names(graph: Any, path: pathlib.Path, domains: Sequence[str] = ()) -> None:
    """Refuses a graph in which a name is not text.

    Args:
      graph: graph of the model or inside a node.
      path: file of the model, for error messages.
      domains: domains of the operators that the model imports.

    Raises:
      CorruptArtefactError: such a name.
    """
    names = [*domains, *(value.name for value in (*graph.input, *graph.output)), *initialiser_names(graph)]
    names += [dim.dim_param for value in graph.input for dim in value.type.tensor_type.shape.dim]
    try:
        "".join(names)
        for node in graph.node:
            attributes = [attribute.name for attribute in node.attribute]
            "".join([node.name, node.op_type, node.domain, *node.input, *node.output, *attributes])
    except TypeError as error:  # text that cannot be decoded comes as bytes
        raise CorruptArtefactError(f"{path}: a name is not text in UTF-8") from error
    for node in graph.node:
        for inner in subgraphs(node):
            check_names(inner, path)


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
            total += sum(size(graph.node, stack) for graph in subgraphs(node))
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


def ordered_nodes(nodes: Sequence[Any], known: Container[str], path: pathlib.Path) -> list[Any]:
    """Nodes after the nodes that they read; files should be in that order, but need not be.

    Args:
      nodes: nodes of a graph.
      known: names of tensors that no node of the graph makes.
      path: file of the model, for error messages.

    Raises:
      InvalidArchitectureError: a node reads a tensor that does not exist, or the graph has a cycle.
    """
    maker = {name: number for number, node in enumerate(nodes) for name in node.output if name}
    sources, readers = [], [[] for _ in nodes]
    for number, node in enumerate(nodes):
        names = reads(node)
        sources.append({maker[name] for name in names if name in maker})
        lost = [name for name in names if name not in maker and name not in known]
        if lost:
            raise InvalidArchitectureError(f"{path}: node {node_name(node)!r} reads {lost[0]!r}, which nothing makes")
        for source in sources[-1]:
            readers[source].append(number)
    order = topological(sources, readers)
    if len(order) < len(nodes):
        stuck = min(set(range(len(nodes))) - set(order))
        raise InvalidArchitectureError(f"{path}: the graph has a cycle at node {node_name(nodes[stuck])!r}")
    return [nodes[number] for number in order]


def needed_nodes(nodes: Sequence[Any], outputs: Sequence[str]) -> list[Any]:
    """Those of some nodes in order that the outputs need; of the results of a node, only the first and those needed."""
    names, needed = set(outputs), []
    for node in reversed(nodes):
        if not names.isdisjoint(node.output):
            if len(node.output) > 1 and not names.issuperset(node.output[1:]):
                node = copy.deepcopy(node)
                node.output[1:] = [name if name in names else "" for name in node.output[1:]]
            names.update(reads(node))
            needed.append(node)
    return needed[::-1]


def node_name(node: Any) -> str:
    """The name of a node, or that of its first output."""
    return node.name or next((name for name in node.output if name), node.op_type)
