"""ONNX files as computation graphs. Nothing is executed, and weights in files of their own are not opened.

Needs the package `onnx` (`pip install tfnas[onnx]`).
"""

import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import CONV, CONV_TRANSPOSE, DROP, MATMUL, ONNX, RELU6, UNKNOWN
from tfnas.graphs.raw import RawGraph, RawNode, Reference, Shape, shapes_by_name
from tfnas.graphs.simplify import simplify

_CONTROL_FLOW = {"If", "Loop", "Scan"}
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
    except ImportError as error:
        raise ConfigurationError("reading ONNX files needs the package onnx: pip install 'tfnas[onnx]'") from error
    from google.protobuf.message import DecodeError

    path = pathlib.Path(path)
    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError as error:
        raise CorruptArtefactError(f"{path}: no such file") from error
    except (DecodeError, ValueError) as error:
        raise CorruptArtefactError(f"{path}: not an ONNX file, or cut short") from error
    if not model.ir_version or not model.graph.node:
        raise CorruptArtefactError(f"{path}: not an ONNX file, or one without operators")
    try:
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        constants = _Constants(model.graph)
        inputs = _open_inputs(model.graph, constants, input_shapes, path)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except onnx.onnx_cpp2py_export.shape_inference.InferenceError as error:
        raise InvalidArchitectureError(f"{path}: {str(error).splitlines()[0]}") from error
    raw = _Reader(inferred.graph, constants, inputs, path).read()
    return simplify(raw, **{"name": path.stem, "source": "onnx", **facts})


class _Constants:
    """Initialisers of a graph; the numbers of large ones are thrown away, and the graph sees them as inputs."""

    def __init__(self, graph: Any):
        import onnx

        self.sizes: dict[str, int] = {}
        self.floating: dict[str, bool] = {}
        self.values: dict[str, np.ndarray] = {}
        small = []
        for tensor in graph.initializer:
            size = math.prod(tensor.dims)
            self.sizes[tensor.name] = size
            self.floating[tensor.name] = tensor.data_type in _floating_types()
            if size <= _LARGE and not tensor.external_data:
                self.values[tensor.name] = _array(tensor)
                small.append(tensor)
            elif tensor.name not in {value.name for value in graph.input}:
                graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        del graph.initializer[:]
        graph.initializer.extend(small)

    def weights(self, name: str) -> int:
        """Numbers that count as weights: floating ones that are not the same everywhere."""
        value = self.values.get(name)
        uniform = self.sizes[name] <= 1 or (value is not None and (value == value.flat[0]).all())
        return 0 if uniform or not self.floating[name] else self.sizes[name]


def _floating_types() -> set[int]:
    import onnx

    proto = onnx.TensorProto
    return {proto.FLOAT, proto.FLOAT16, proto.DOUBLE, proto.BFLOAT16}


def _array(tensor: Any) -> np.ndarray:
    import onnx

    try:
        return onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise CorruptArtefactError(f"the constant {tensor.name!r} is damaged ({error})") from error


def _open_inputs(graph: Any, constants: _Constants, shapes: Any, path: pathlib.Path) -> list[str]:
    """Names of the inputs that stand for data, after their open shapes are filled in."""
    values = {value.name: value for value in graph.input if value.name not in constants.sizes}
    shapes = shapes_by_name(list(values), shapes, path)
    for name, value in values.items():
        dims = value.type.tensor_type.shape.dim
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
        for node in self._ordered():
            self._read(node)
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

    def _ordered(self) -> Iterator[Any]:
        """Nodes after those that they read; files should be in that order, but need not be."""
        waiting = list(self.graph.node)
        known = set(self.tensors) | {""}
        while waiting:
            later = []
            for node in waiting:
                if known.issuperset(node.input):
                    known.update(node.output)
                    yield node
                else:
                    later.append(node)
            if len(later) == len(waiting):
                name = next(name for name in later[0].input if name not in known)
                raise InvalidArchitectureError(
                    f"{self.path}: node {_name(later[0])!r} reads {name!r}, which nothing makes, or there is a cycle"
                )
            waiting = later

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
        inputs = [self.tensors[tensor] for tensor in node.input if tensor]
        outputs = [(tensor, *self.types.get(tensor, (None, True))) for tensor in node.output]
        if kind in _CONTROL_FLOW and any(self.nodes[source].operator != UNKNOWN for source, _ in inputs):
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
            known = node.domain in ("", "ai.onnx") or kind in ("Gelu", "FusedGelu")
            operator = ONNX.get(kind, UNKNOWN) if known else UNKNOWN
            self._add(name, kind, operator, inputs, outputs, **self._fields(node, operator, attributes))

    def _constant(
        self, name: str, outputs: list[tuple[str, Shape | None, bool]], attributes: Mapping[str, Any]
    ) -> None:
        tensor = attributes["value"].t if "value" in attributes else None
        weights, shape = 0, outputs[0][1]
        if tensor is not None:
            shape = tuple(tensor.dims)
            floating = tensor.data_type in _floating_types()
            self.constants.sizes[outputs[0][0]] = math.prod(shape)
            self.constants.floating[outputs[0][0]] = floating
            if math.prod(shape) <= _LARGE:
                self.constants.values[outputs[0][0]] = _array(tensor)
            weights = self.constants.weights(outputs[0][0])
        values = [(outputs[0][0], shape, outputs[0][2])]
        self._add(name, "Constant", UNKNOWN, [], values, weights=weights, channels_first=True)

    def _fields(self, node: Any, operator: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if operator in (CONV, CONV_TRANSPOSE):
            shape = self.nodes[self.tensors[node.input[1]][0]].shapes[0]
            if shape is not None and len(shape) >= 3:
                fields["kernel"] = tuple(shape[-2:]) if len(shape) > 3 else (shape[-1], 1)
            fields["has_bias"] = len(node.input) > 2 and bool(node.input[2])
            fields["channels_first"] = True
        elif operator == MATMUL:
            fields["has_bias"] = node.op_type == "Gemm" and len(node.input) > 2
            fields["channels_first"] = False
        elif operator in ("max_pool", "avg_pool") and "kernel_shape" in attributes:
            window = list(attributes["kernel_shape"].ints)
            fields["kernel"] = tuple(window[-2:]) if len(window) > 1 else (window[0], 1)
        elif node.op_type == "Transpose" and "perm" in attributes:
            fields["channels_first"] = _layout_after(list(attributes["perm"].ints))
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
