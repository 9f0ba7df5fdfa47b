"""ONNX models as computation graphs. Nothing is executed, and weights in files of their own are not opened.

Needs the package `onnx` (`pip install tfnas[onnx]`).
"""

import copy
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.onnx_inputs import fill_inputs
from tfnas.graphs.importers.onnx_models import (
    LARGE,
    Constants,
    check_functions,
    constant_tensor,
    floating_types,
    node_name,
    ordered_nodes,
)
from tfnas.graphs.importers.raw import RawGraph, RawNode, Reference, Shape
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.operators import CONV, CONV_TRANSPOSE, DROP, MATMUL, ONNX, RELU6, UNKNOWN

_CONTROL_FLOW = {"If", "Loop", "Scan"}
_QUANTISED = {
    *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"),
    *("ConvInteger", "MatMulInteger", "QLinearAdd", "QLinearMul"),
}
_FIRST_INPUT_ONLY = {"Resize", "Upsample", "Clip", "Pad", "CastLike", "Expand", "Reshape", "Tile", "TopK", "CumSum"}
"""Operators whose inputs other than the first are settings, no weights."""

_CHANNELS_SECOND = {
    *(CONV, CONV_TRANSPOSE, "batch_norm", "group_norm", "max_pool", "avg_pool", "lrn"),
    *("space_to_depth", "depth_to_space", "grid_sample"),
}
_RECURRENT = {"lstm", "gru", "rnn"}


def from_onnx(
    model: Any,
    *,
    input_shapes: Mapping[str, Sequence[int]] | Sequence[int] | None = None,
    dims: Mapping[str, int] | None = None,
    strict: bool = False,
    **facts: object,
) -> ComputationGraph:
    """The computation graph of an ONNX model.

    Args:
      model: path of an ONNX file, or an `onnx.ModelProto`, which is not changed.
      input_shapes: shapes with the batch first, for inputs whose shapes the file leaves open: by name, or the shape of
        the only input. An open batch counts as 1.
      dims: extents of the open dimensions that the file names, by name, for example `{"seq": 128}`.
      strict: True refuses open extents that nothing gives; by default `onnx_inputs.fill_inputs` assumes them, and a
        note says so.
      **facts: name, family, source and label.

    Raises:
      ConfigurationError: the package `onnx` is missing.
      CorruptArtefactError: not an ONNX file, or a damaged file.
      InvalidArchitectureError: control flow, an open shape, a cycle, or no path from an input to an output.
    """
    try:
        import onnx
        import onnx.inliner
        import onnx.shape_inference
    except ImportError as error:
        raise ConfigurationError("reading ONNX files needs the package onnx: pip install 'tfnas[onnx]'") from error
    from google.protobuf.message import DecodeError

    if isinstance(model, onnx.ModelProto):
        path = pathlib.Path(model.graph.name or "ModelProto")  # names the model in messages
        model = copy.deepcopy(model)
    else:
        path = pathlib.Path(model)
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
            check_functions(model, path)
            model = onnx.inliner.inline_local_functions(model)
        nodes = ordered_nodes(model.graph, path)
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        constants = Constants(model.graph, path)
        inputs, notes = fill_inputs(model.graph, constants.sizes, input_shapes, dims, path, assume=not strict)
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except onnx.onnx_cpp2py_export.shape_inference.InferenceError as error:
        raise InvalidArchitectureError(f"{path}: {str(error).splitlines()[0]}") from error
    except onnx.checker.ValidationError as error:
        raise InvalidArchitectureError(f"{path}: {str(error).splitlines()[0]}") from error
    raw = _Reader(inferred.graph, constants, inputs, path).read()
    raw.notes = (*notes, *raw.notes)
    return simplify(raw, **{"name": path.stem, "source": "onnx", **facts})


class _Reader:
    def __init__(self, graph: Any, constants: Constants, inputs: Sequence[str], path: pathlib.Path):
        self.graph, self.constants, self.inputs, self.path = graph, constants, inputs, path
        self.nodes: list[RawNode] = []
        self.tensors: dict[str, Reference] = {}
        self.types: dict[str, tuple[Shape | None, bool]] = {}
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            shape = None
            if tensor.HasField("shape"):
                shape = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
            self.types[value.name] = (shape, tensor.elem_type in floating_types())

    def read(self) -> RawGraph:
        for name in self.inputs:
            shape, floating = self.types[name]
            axis = 1 if shape is not None and len(shape) >= 4 else -1
            self._add(name, "input", DROP, [], [(name, shape, floating)], is_input=True, channel_axis=axis)
        dims = {tensor.name: tuple(tensor.dims) for tensor in self.graph.initializer}
        for name in self.constants.sizes:
            shape = dims.get(name) or self.types.get(name, (None, True))[0]
            values = [(name, shape, self.constants.floating[name])]
            weights = self.constants.weights(name)
            self._add(name, "Constant", UNKNOWN, [], values, weights=weights)
        needed = self._needed()
        for node in self.graph.node:
            if not needed.isdisjoint(node.output):
                try:
                    self._read(node)
                except (IndexError, KeyError, AttributeError, TypeError) as error:
                    raise InvalidArchitectureError(
                        f"{self.path}: node {node_name(node)!r} is not a {node.op_type} as ONNX has it"
                    ) from error
        missing = [value.name for value in self.graph.output if value.name not in self.tensors]
        if missing:
            raise InvalidArchitectureError(f"{self.path}: no node makes the output {missing[0]!r}")
        return RawGraph(self.nodes, [self.tensors[value.name] for value in self.graph.output])

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
        for index, (output, _, _) in enumerate(outputs):
            if output:
                self.tensors[output] = (number, index)

    def _read(self, node: Any) -> None:
        kind, name = node.op_type, node_name(node)
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
        tensor = constant_tensor(attributes)
        weights, shape = 0, outputs[0][1]
        if tensor is not None:
            shape = tuple(tensor.dims)
            floating = tensor.data_type in floating_types()
            self.constants.sizes[outputs[0][0]] = math.prod(shape)
            self.constants.floating[outputs[0][0]] = floating
            if math.prod(shape) <= LARGE:
                self.constants.values[outputs[0][0]] = self.constants.array(tensor)
            weights = self.constants.weights(outputs[0][0])
        values = [(outputs[0][0], shape, outputs[0][2])]
        self._add(name, "Constant", UNKNOWN, [], values, weights=weights)

    def _fields(self, node: Any, operator: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if operator in (CONV, CONV_TRANSPOSE):
            shape = self._shape(node.input[1])
            if shape is not None and len(shape) >= 3:
                fields["kernel"] = tuple(shape[-2:]) if len(shape) > 3 else (shape[-1], 1)
            fields["group_channels"] = shape[1] if shape is not None and len(shape) > 1 else None
            fields["has_bias"] = len(node.input) > 2 and bool(node.input[2])
        elif operator == MATMUL:
            fields["has_bias"] = node.op_type == "Gemm" and len(node.input) > 2 and bool(node.input[2])
        elif operator in ("max_pool", "avg_pool") and "kernel_shape" in attributes:
            window = list(attributes["kernel_shape"].ints) or [0]
            fields["kernel"] = tuple(window[-2:]) if len(window) > 1 else (window[0], 1)
        elif operator == "pow":
            exponent = self.constants.values.get(node.input[1])
            fields["constant"] = float(exponent.flat[0]) if exponent is not None and exponent.size == 1 else None
        elif operator == "clip":
            fields["constant"] = self._clip_bounds(node, attributes)
        return fields | self._axes(node, operator, attributes)

    def _axes(self, node: Any, operator: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Where the node says that channels and the batch stand, and how it permutes axes."""
        rank = len(self._shape(node.input[0]) or ())
        if operator in _CHANNELS_SECOND or node.op_type.startswith("Global"):
            return {"channel_axis": 1}
        if operator in _RECURRENT:
            batch_first = "layout" in attributes and attributes["layout"].i
            return {"channel_axis": -1, "batch_axis": 0 if batch_first else 1}
        if operator in ("layer_norm", "rms_norm"):
            axis = attributes["axis"].i if "axis" in attributes else -1
            return {"channel_axis": -1} if axis in (-1, rank - 1) else {}
        if operator == MATMUL:
            return {"channel_axis": -1}
        if node.op_type == "Transpose" and rank:
            order = list(attributes["perm"].ints) if "perm" in attributes else range(rank - 1, -1, -1)
            return {"permutation": tuple(axis % rank for axis in order)}
        return {}

    def _shape(self, name: str) -> Shape | None:
        number, output = self.tensors[name]
        return self.nodes[number].shapes[output]

    def _clip_bounds(self, node: Any, attributes: Mapping[str, Any]) -> float | None:
        """6 for bounds of 0 and 6, which make a ReLU6."""
        bounds = [attributes[name].f for name in ("min", "max") if name in attributes]
        if not bounds:
            values = [self.constants.values.get(name) for name in node.input[1:3]]
            bounds = [float(value) for value in values if value is not None and value.size == 1]
        return 6.0 if bounds == [0.0, 6.0] else None
