"""ONNX files as computation graphs. Nothing is executed, and weights in files of their own are not opened.

Needs the package `onnx` (`pip install tfnas[onnx]`).
"""

import collections
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.raw import RawGraph, RawNode, Reference, Shape, shapes_by_name
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.operators import CONV, CONV_TRANSPOSE, DROP, MATMUL, ONNX, RELU6, UNKNOWN

_CONTROL_FLOW = {"If", "Loop", "Scan"}
_QUANTISED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"),
    *("ConvInteger", "MatMulInteger", "QLinearAdd", "QLinearMul"),
}
_FIRST_INPUT_ONLY = {"Resize", "Upsample", "Clip", "Pad", "CastLike", "Expand", "Reshape", "Tile", "TopK", "CumSum"}
"""Their other inputs are settings, no weights."""
_WEIGHTED = {
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "LayerNormalization", "RMSNormalization"),
    *("InstanceNormalization", "GroupNormalization", "PRelu", "LSTM", "GRU", "RNN"),
}
"""What they read beside their data are weights, whatever the numbers."""
MAX_NODES = 1_000_000
_MAX_DEPTH = 64
_LARGE = 4096
"""Constants of more numbers than this can't decide a shape; their values are dropped before shapes are inferred."""


def from_onnx(
    path: artefacts.PathLike,
    *,
    input_shapes: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
    **facts: object,
) -> ComputationGraph:
    """The computation graph of an ONNX file.

    Args:
      path: the file.
      input_shapes: shapes with the batch first, for inputs whose shapes the file leaves open; by name, or one shape for
        the only input. An open batch counts as one.
      **facts: name, family, source and label.

    Raises:
      ConfigurationError: the package `onnx` is missing.
      CorruptArtefactError: not an ONNX file, or a damaged one.
      InvalidArchitectureError: control flow, an open shape, a cycle, or no path from an input to an output.
    """
    try:
        import onnx
        import onnx.inliner
        import onnx.shape_inference
    except ImportError as error:
        raise ConfigurationError("reading ONNX files needs the package onnx: pip install 'tfnas[onnx]'") from error
    from google.protobuf.message import DecodeError

    path = pathlib.Path(path)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise CorruptArtefactError(f"{path}: a folder, expected an ONNX file") from error
    except (DecodeError, ValueError) as error:
        raise CorruptArtefactError(f"{path}: not an ONNX file, or cut short") from error
    if not model.ir_version or not model.graph.node:
        raise CorruptArtefactError(f"{path}: not an ONNX file, or one without operators")
    try:
        if model.functions:
            _check_functions(model, path)
            model = onnx.inliner.inline_local_functions(model)
        nodes = _ordered(model.graph, path)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        constants = _Constants(model.graph, path)
        inputs = _open_inputs(model.graph, constants, input_shapes, path)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except onnx.onnx_cpp2py_export.shape_inference.InferenceError as error:
        raise InvalidArchitectureError(f"{path}: {str(error).splitlines()[0]}") from error
    except onnx.checker.ValidationError as error:
        raise InvalidArchitectureError(f"{path}: {str(error).splitlines()[0]}") from error
    raw = _Reader(inferred.graph, constants, inputs, path).read()
    return simplify(raw, **{"name": path.stem, "source": "onnx", **facts})


class _Constants:
    """Initialisers of a graph; the numbers of large ones are thrown away, and the graph sees them as inputs."""

    def __init__(self, graph: Any, path: pathlib.Path):
        import onnx

        self.path = path
        self.always = {name for node in graph.node if node.op_type in _WEIGHTED for name in node.input[1:]}
        inputs = {value.name for value in graph.input}

        self.sizes: dict[str, int] = {}
        self.floating: dict[str, bool] = {}
        self.values: dict[str, np.ndarray] = {}
        small = []
        for tensor in graph.initializer:
            size = math.prod(tensor.dims)
            self.sizes[tensor.name] = size
            self.floating[tensor.name] = tensor.data_type in _floating_types()
            if size <= _LARGE and not tensor.external_data:
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
            raise CorruptArtefactError(f"{self.path}: the constant {tensor.name!r} is damaged ({error})") from error

    def weights(self, name: str) -> int:
        """Numbers that count as weights: floating ones, for an elementwise operator if they are not all the same."""
        value = self.values.get(name)
        if name in self.always and self.floating[name]:
            return self.sizes[name]
        uniform = self.sizes[name] <= 1 or (value is not None and (value == value.flat[0]).all())
        return 0 if uniform or not self.floating[name] else self.sizes[name]


def _floating_types() -> set[int]:
    import onnx

    proto = onnx.TensorProto
    return {proto.FLOAT, proto.FLOAT16, proto.DOUBLE, proto.BFLOAT16}


def _check_functions(model: Any, path: pathlib.Path) -> None:
    """Refuses functions that call themselves, or that are too many operators once they are written out."""
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


def _ordered(graph: Any, path: pathlib.Path) -> list[Any]:
    """Nodes after those that they read; files should be in that order, but need not be."""
    maker = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    missing, readers = [], [[] for _ in graph.node]
    for place, node in enumerate(graph.node):
        makers = {maker[name] for name in node.input if name in maker}
        lost = [name for name in node.input if name not in maker and name not in known]
        if lost:
            raise InvalidArchitectureError(f"{path}: node {_name(node)!r} reads {lost[0]!r}, which nothing makes")
        missing.append(len(makers))
        for other in makers:
            readers[other].append(place)
    ready = collections.deque(place for place, count in enumerate(missing) if not count)
    order = []
    while ready:
        place = ready.popleft()
        order.append(place)
        for reader in readers[place]:
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    if len(order) < len(graph.node):
        stuck = next(place for place, count in enumerate(missing) if count)
        raise InvalidArchitectureError(f"{path}: the graph has a cycle at node {_name(graph.node[stuck])!r}")
    return [graph.node[place] for place in order]


def _constant_tensor(attributes: Mapping[str, Any]) -> Any:
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


def _open_inputs(graph: Any, constants: _Constants, shapes: Any, path: pathlib.Path) -> list[str]:
    """Names of the inputs that stand for data, after their open shapes are filled in."""
    values = {value.name: value for value in graph.input if value.name not in constants.sizes}
    shapes = shapes_by_name(list(values), shapes, path)
    for name, value in values.items():
        dims = value.type.tensor_type.shape.dim
        if name in shapes and not value.type.tensor_type.HasField("shape"):
            for _ in shapes[name]:
                dims.add()
        given = shapes.get(name, [1 if place == 0 else None for place in range(len(dims))])
        if len(given) != len(dims):
            raise InvalidArchitectureError(f"{path}: input {name!r} has {len(dims)} dimensions, not {len(given)}")
        for dim, extent in zip(dims, given, strict=True):
            if name in shapes or (dim.dim_value <= 0 and extent is not None):
                dim.dim_value = extent
    return list(values)


class _Reader:
    def __init__(self, graph: Any, constants: _Constants, inputs: Sequence[str], path: pathlib.Path):
        self.graph, self.constants, self.inputs, self.path = graph, constants, inputs, path
        self.nodes: list[RawNode] = []
        self.tensors: dict[str, Reference] = {}
        self.types: dict[str, tuple[Shape | None, bool]] = {}
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            shape = None
            if tensor.HasField("shape"):
                shape = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
            self.types[value.name] = (shape, tensor.elem_type in _floating_types())

    def read(self) -> RawGraph:
        readers = self._readers()
        for name in self.inputs:
            shape, floating = self.types[name]
            first = shape is not None and len(shape) >= 4 and not _all_to_channels_first(readers.get(name, []))
            self._add(name, "input", DROP, [], [(name, shape, floating)], is_input=True, channels_first=first)
        dims = {tensor.name: tuple(tensor.dims) for tensor in self.graph.initializer}
        for name in self.constants.sizes:
            shape = dims.get(name) or self.types.get(name, (None, True))[0]
            values = [(name, shape, self.constants.floating[name])]
            weights = self.constants.weights(name)
            self._add(name, "Constant", UNKNOWN, [], values, weights=weights, channels_first=True)
        needed = self._needed()
        for node in self.graph.node:
            if not needed.isdisjoint(node.output):
                try:
                    self._read(node)
                except (IndexError, KeyError, AttributeError, TypeError) as error:
                    raise InvalidArchitectureError(
                        f"{self.path}: node {_name(node)!r} is not a {node.op_type} as ONNX has it"
                    ) from error
        missing = [value.name for value in self.graph.output if value.name not in self.tensors]
        if missing:
            raise InvalidArchitectureError(f"{self.path}: no node makes the output {missing[0]!r}")
        return RawGraph(self.nodes, [self.tensors[value.name] for value in self.graph.output])

    def _readers(self) -> dict[str, list[Any]]:
        readers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        return readers

    def _needed(self) -> set[str]:
        """Tensors that the outputs need, those that the branches of control flow read included."""
        needed = {value.name for value in self.graph.output}
        for node in reversed(self.graph.node):
            if not needed.isdisjoint(node.output):
                needed.update(node.input)
                for attribute in node.attribute:
                    needed.update(name for inner in attribute.g.node for name in inner.input)
        return needed

    def _add(
        self,
        name: str,
        kind: str,
        operator: str,
        inputs: list[Reference],
        outputs: Sequence[tuple[str, Shape | None, bool]],
        **fields: Any,
    ) -> None:
        number = len(self.nodes)
        shapes, floating = [shape for _, shape, _ in outputs], [is_float for _, _, is_float in outputs]
        self.nodes.append(RawNode(name, kind, operator, inputs, shapes, floating, **fields))
        for place, (output, _, _) in enumerate(outputs):
            if output:
                self.tensors[output] = (number, place)

    def _read(self, node: Any) -> None:
        kind, name = node.op_type, _name(node)
        read = node.input[:1] if kind in _FIRST_INPUT_ONLY else node.input
        inputs = [self.tensors[tensor] for tensor in read if tensor]
        outputs = [(tensor, *self.types.get(tensor, (None, True))) for tensor in node.output]
        if kind in _QUANTISED:
            raise InvalidArchitectureError(
                f"{self.path}: node {name!r} is quantised ({kind}); give the model as it was before quantisation"
            )
        if kind in _CONTROL_FLOW:
            raise InvalidArchitectureError(
                f"{self.path}: node {name!r} is control flow ({kind}); a computation graph has one fixed flow of data"
            )
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if kind == "Constant":
            self._constant(name, outputs, attributes)
        elif kind == "HardSwish":
            gate = f"{name}/gate"
            self._add(gate, kind, RELU6, inputs, [(gate, *outputs[0][1:])])
            self._add(name, kind, "mul", [*inputs, self.tensors[gate]], outputs)
        else:
            known = node.domain in ("", "ai.onnx") or kind == "Gelu"
            operator = ONNX.get(kind, UNKNOWN) if known else UNKNOWN
            self._add(name, kind, operator, inputs, outputs, **self._fields(node, operator, attributes))

    def _constant(
        self, name: str, outputs: list[tuple[str, Shape | None, bool]], attributes: Mapping[str, Any]
    ) -> None:
        tensor = _constant_tensor(attributes)
        weights, shape = 0, outputs[0][1]
        if tensor is not None:
            shape = tuple(tensor.dims)
            floating = tensor.data_type in _floating_types()
            self.constants.sizes[outputs[0][0]] = math.prod(shape)
            self.constants.floating[outputs[0][0]] = floating
            if math.prod(shape) <= _LARGE:
                self.constants.values[outputs[0][0]] = self.constants.array(tensor)
            weights = self.constants.weights(outputs[0][0])
        values = [(outputs[0][0], shape, outputs[0][2])]
        self._add(name, "Constant", UNKNOWN, [], values, weights=weights, channels_first=True)

    def _fields(self, node: Any, operator: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if operator in (CONV, CONV_TRANSPOSE):
            shape = self.nodes[self.tensors[node.input[1]][0]].shapes[0]
            if shape is not None and len(shape) >= 3:
                fields["kernel"] = tuple(shape[-2:]) if len(shape) > 3 else (shape[-1], 1)
            fields["group_channels"] = shape[1] if shape is not None and len(shape) > 1 else None
            fields["has_bias"] = len(node.input) > 2 and bool(node.input[2])
            fields["channels_first"] = True
        elif operator == MATMUL:
            fields["has_bias"] = node.op_type == "Gemm" and len(node.input) > 2 and bool(node.input[2])
            fields["channels_first"] = False
        elif operator in ("max_pool", "avg_pool") and "kernel_shape" in attributes:
            window = list(attributes["kernel_shape"].ints) or [0]
            fields["kernel"] = tuple(window[-2:]) if len(window) > 1 else (window[0], 1)
        elif node.op_type == "Transpose" and "perm" in attributes:
            fields["channels_first"] = _layout_after(list(attributes["perm"].ints))
        elif operator == "pow":
            exponent = self.constants.values.get(node.input[1])
            fields["constant"] = float(exponent.flat[0]) if exponent is not None and exponent.size == 1 else None
        elif operator == "clip":
            fields["constant"] = self._clip_bounds(node, attributes)
        return fields

    def _clip_bounds(self, node: Any, attributes: Mapping[str, Any]) -> float | None:
        """6 for bounds of 0 and 6, which make a ReLU6."""
        bounds = [attributes[name].f for name in ("min", "max") if name in attributes]
        if not bounds:
            values = [self.constants.values.get(name) for name in node.input[1:3]]
            bounds = [float(value) for value in values if value is not None and value.size == 1]
        return 6.0 if bounds == [0.0, 6.0] else None


def _name(node: Any) -> str:
    return node.name or (node.output[0] if node.output else node.op_type)


def _layout_after(permutation: list[int]) -> bool | None:
    """Whether channels stand second after a transpose, None if it leaves them where they were."""
    rank = len(permutation)
    if permutation == [0, rank - 1, *range(1, rank - 1)]:
        return True if rank > 3 else None
    return False if permutation == [0, *range(2, rank), 1] else None


def _all_to_channels_first(readers: Sequence[Any]) -> bool:
    permutations = [
        list(attribute.ints) for node in readers for attribute in node.attribute if attribute.name == "perm"
    ]
    return bool(permutations) and all(_layout_after(permutation) for permutation in permutations)
