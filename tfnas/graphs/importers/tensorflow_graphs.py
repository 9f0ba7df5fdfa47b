"""TensorFlow graphs, SavedModels and concrete functions as computation graphs. Nothing is executed.

A graph is flattened (functions that it calls are copied in), cut down to what its outputs need and imported into an
empty `tf.Graph`, which infers shapes. Variables are never read: their declarations carry their shapes.
"""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.extents import InputShapes, closed_shapes
from tfnas.graphs.importers.raw import RawGraph, RawNode, Shape, in_order_of_readiness
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.importers.tensorflow_constants import check_constants
from tfnas.graphs.importers.tensorflow_control import collapse
from tfnas.graphs.importers.tensorflow_functions import Flattener, ancestors, called_names, refused
from tfnas.graphs.importers.tensorflow_products import products
from tfnas.graphs.importers.tensorflow_shapes import forget_zeros, settle_shapes
from tfnas.graphs.operators import EMBEDDING, MATMUL, TENSORFLOW, UNKNOWN, WEIGHTED

_CONTROL_FLOW = {
    *("Enter", "Exit", "Merge", "Switch", "NextIteration", "LoopCond", "RefEnter", "RefExit", "RefMerge"),
    *("RefSwitch", "For"),
}
_VARIABLES = {"VarHandleOp", "VariableV2", "Variable"}
_WITH_LAYOUT = {
    *("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2"),
    *("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D", "FusedBatchNormV3", "BiasAdd"),
}
_MAX_FILE_BYTES = 2**31


def from_concrete_function(function: tf.types.experimental.ConcreteFunction, **facts: object) -> ComputationGraph:
    """The computation graph of a traced function.

    Args:
      function: traced function, which may capture variables; the inputs stand for data, with the batch first.
      **facts: name, family, source and label.

    Raises:
      InvalidArchitectureError: control flow, a shape that is only known at run time, or no path from input to output.
    """
    graph = function.graph
    shapes = {variable.handle.ref(): variable for variable in graph.variables}
    captured = {}
    for outer, inner in graph.captures:
        if inner.dtype == tf.resource and outer.ref() in shapes:
            variable = shapes[outer.ref()]
            captured[inner.op.name] = _variable(inner.op.name, variable.dtype, variable.shape)
        elif inner.dtype != tf.resource:
            captured[inner.op.name] = _variable(inner.op.name, inner.dtype, inner.shape, kind="VariableV2")
    inside = {inner.op.name for _, inner in graph.captures}
    inputs = [tensor.op.name for tensor in graph.inputs if tensor.op.name not in inside]
    outputs = [tensor.name for tensor in graph.outputs if tensor is not None]
    return from_graph_def(graph.as_graph_def(), inputs, outputs, replaced=captured, **facts)


def from_function(function: Any, *, input_shape: InputShapes = None, **facts: object) -> ComputationGraph:
    """The computation graph of a `tf.function` or of a concrete function.

    Args:
      function: concrete function, or a `tf.function` that takes data alone, with the batch first.
      input_shape: shape with the batch first, for a `tf.function` of a single float32 input without input signature.
      **facts: name, family, source and label; the name is the function's by default.

    Raises:
      ConfigurationError: an input shape is missing, or is given for a function whose inputs are known.
      InvalidArchitectureError: see `from_concrete_function`; a function that can't be traced.
    """
    name = getattr(function, "__name__", "function")
    traced = isinstance(function, tf.types.experimental.ConcreteFunction)
    known = traced or function.input_signature is not None
    if known == (input_shape is not None) or isinstance(input_shape, Mapping):
        fault = "are known already, expected no input shape" if known else "are not known, expected an input shape"
        raise ConfigurationError(f"tf.function {name!r}: its inputs {fault}")
    if not traced:
        try:
            function = function.get_concrete_function(*([] if known else [tf.TensorSpec(input_shape)]))
        except (TypeError, ValueError) as error:
            raise refused(error) from error
    return from_concrete_function(function, **{"name": name, "source": "tensorflow", **facts})


def from_saved_model(
    folder: artefacts.PathLike,
    *,
    signature: str | None = None,
    input_shapes: InputShapes = None,
    **facts: object,
) -> ComputationGraph:
    """The computation graph of a SavedModel's signature. The model is not loaded: its graph is read, not its weights.

    Args:
      folder: folder of the SavedModel.
      signature: name of the signature; None for `serving_default`, or for the only signature.
      input_shapes: shapes with the batch first, for inputs whose shapes the signature leaves open: by name, or the
        shape of the only input; `closed_shapes` assumes what is left open, with a note.
      **facts: name, family, source and label.

    Raises:
      CorruptArtefactError: a folder without a SavedModel, or a damaged file.
      InvalidArchitectureError: no such signature, a shape that it contradicts, control flow, or no path from input to
        output.
    """
    path = pathlib.Path(folder) / "saved_model.pb"
    if not path.is_file():
        raise CorruptArtefactError(f"{folder}: no saved_model.pb in this folder, expected a SavedModel")
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise CorruptArtefactError(f"{path}: larger than the 2 GB that a protocol buffer can hold")
    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise CorruptArtefactError(f"{path}: not a SavedModel, or cut short") from error
    meta, definition = _signature(proto, signature, folder)
    inputs = {name: info.name.partition(":")[0] for name, info in sorted(definition.inputs.items())}
    declared = {name: _declared(definition.inputs[name].tensor_shape) for name in inputs}
    shapes, notes = closed_shapes(declared, input_shapes, folder)
    graph = from_graph_def(
        meta.graph_def,
        list(inputs.values()),
        [info.name for _, info in sorted(definition.outputs.items())],
        shapes={inputs[name]: shape for name, shape in shapes.items()},
        **{"name": pathlib.Path(folder).name, "source": "saved_model", **facts},
    )
    layers = called_names(graph.layers, {node: name for name, node in inputs.items()})
    return graph.replace(notes=(*notes, *graph.notes), layers=layers)


def _signature(proto: Any, name: str | None, folder: artefacts.PathLike) -> tuple[Any, Any]:
    """The graph and the definition of a signature; see `from_saved_model`."""
    known = {
        other: (meta, definition)
        for meta in reversed(proto.meta_graphs)
        for other, definition in meta.signature_def.items()
        if not other.startswith("__")
    }
    chosen = name or (next(iter(known)) if len(known) == 1 else "serving_default")
    if chosen in known:
        return known[chosen]
    if not known:
        raise InvalidArchitectureError(
            f"{folder}: no signature {chosen!r}, it has none; export the model with model.export, or save it with the "
            "argument signatures of tf.saved_model.save"
        )
    raise InvalidArchitectureError(
        f"{folder}: no signature {chosen!r}, it has {', '.join(sorted(known))}; give one of them (--signature)"
    )


def _declared(shape: Any) -> Shape | None:
    """The shape of a signature's input."""
    return None if shape.unknown_rank else tuple(dim.size if dim.size >= 0 else None for dim in shape.dim)


def from_graph_def(
    graph_def: tf.compat.v1.GraphDef,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    shapes: Mapping[str, Sequence[int | None]] | None = None,
    replaced: Mapping[str, tf.compat.v1.NodeDef] | None = None,
    held: int | None = None,
    **facts: object,
) -> ComputationGraph:
    """The computation graph of part of a GraphDef.

    Args:
      graph_def: graph with the library of functions that it calls.
      inputs: names of the nodes that stand for data.
      outputs: names of tensors, such as `dense/BiasAdd:0`.
      shapes: shapes by input node, instead of the shapes that the placeholders declare; an open batch counts as 1.
      replaced: nodes that take the place of nodes of the same name.
      held: numbers that the model holds, to compare with the graph's parameters; None for those of the nodes.
      **facts: name, family, source and label.

    Raises:
      InvalidArchitectureError: control flow, an open shape, or no path from input to output.
    """
    try:
        flat = Flattener(graph_def, replaced or {}).flatten(outputs)
        settle_shapes(flat.nodes)
    except IndexError as error:
        raise InvalidArchitectureError("an operation has fewer inputs than operations of its kind have") from error
    nodes = ancestors(flat.nodes, [flat.resolve(output).partition(":")[0] for output in outputs])
    merges = {name for region in flat.regions.values() for name in region.merges}
    for node in nodes:
        if node.op in _CONTROL_FLOW and node.name not in merges:
            raise InvalidArchitectureError(
                f"node {node.name!r} is control flow of TensorFlow 1 ({node.op}), which has no function for its body"
            )
        if node.op == "Placeholder":
            shape = (shapes or {}).get(node.name)
            if shape is not None:
                node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
            if node.attr["shape"].shape.dim and node.attr["shape"].shape.dim[0].size < 0:
                node.attr["shape"].shape.dim[0].size = 1
        elif node.op == "PlaceholderWithDefault" and node.name not in inputs:  # a switch, such as the learning phase
            kind = node.attr["dtype"].type
            node.op = "Identity"
            node.attr.clear()
            node.attr["T"].type = kind
        elif "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]
    check_constants(nodes)
    pruned = tf.compat.v1.GraphDef(node=nodes, versions=graph_def.versions)
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.graph_util.import_graph_def(pruned, name="")
    except (ValueError, tf.errors.OpError) as error:
        raise refused(error) from error
    raw = _raw_graph(graph, set(inputs), [flat.resolve(output) for output in outputs])
    raw.held = held
    if flat.regions:
        raw = collapse(raw, flat.regions, flat.stacks, graph)
    return simplify(raw, **facts)


def _variable(name: str, dtype: tf.DType, shape: tf.TensorShape, kind: str = "VarHandleOp") -> tf.compat.v1.NodeDef:
    node = tf.compat.v1.NodeDef(name=name, op=kind)
    node.attr["dtype"].type = tf.as_dtype(dtype).as_datatype_enum
    node.attr["shape"].shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return node


def _raw_graph(graph: tf.Graph, inputs: set[str], outputs: Sequence[str]) -> RawGraph:
    operations = _topological(graph)
    number = {operation.name: index for index, operation in enumerate(operations)}
    nodes = [_raw_node(operation, number, inputs) for operation in operations]
    forget_zeros(nodes)
    references = []
    for output in outputs:
        name, _, index = output.partition(":")
        references.append((number[name], int(index or 0)))
    return RawGraph(nodes, references)


def _topological(graph: tf.Graph) -> list[tf.Operation]:
    operations = graph.get_operations()
    number = {operation: index for index, operation in enumerate(operations)}
    sources = [{number[tensor.op] for tensor in operation.inputs} for operation in operations]
    order = in_order_of_readiness([operation.name for operation in operations], sources)
    if len(order) < len(operations):
        raise InvalidArchitectureError("the graph has a cycle")
    return [operations[index] for index in order]


def _raw_node(operation: tf.Operation, number: Mapping[str, int], inputs: set[str]) -> RawNode:
    kind = operation.type
    # In tf_keras a layer norm is a batch norm over reshaped data, whose layout means nothing.
    normalises_layers = kind == "FusedBatchNormV3" and operation.get_attr("is_training")
    node = RawNode(
        name=operation.name,
        kind=kind,
        operator=TENSORFLOW.get(kind, UNKNOWN),
        inputs=[(number[tensor.op.name], tensor.value_index) for tensor in operation.inputs],
        shapes=[None if out.shape.rank is None else tuple(out.shape.as_list()) for out in operation.outputs],
        floating=[out.dtype.is_floating or out.dtype.is_complex for out in operation.outputs],
        is_input=operation.name in inputs,
        products=products(operation),
    )
    if node.operator in WEIGHTED or (node.operator in ("gather", EMBEDDING) and operation.outputs[0].dtype == tf.int8):
        node.floating = [True] * len(node.shapes)  # quantised numbers are data like those that they stand for
    if kind in _VARIABLES:
        shape = tf.TensorShape(operation.get_attr("shape"))
        quantised = operation.get_attr("dtype") in (tf.int8, tf.uint8) and shape.rank is not None and shape.rank > 1
        if operation.get_attr("dtype").is_floating or quantised:
            node.weights = _size(shape)
        node.shapes = [tuple(dim.size for dim in operation.get_attr("shape").dim)]
    elif kind == "Const" and operation.outputs[0].dtype.is_floating:
        node.weights, node.uniform = _constant_weights(operation)
    elif kind in ("Conv2D", "DepthwiseConv2dNative", "Conv3D", "Conv2DBackpropInput", "Conv3DBackpropInputV2"):
        filters = operation.inputs[1].shape
        if filters.rank is not None:
            node.kernel = tuple(extent or 0 for extent in filters.as_list()[-4:-2])
            node.group_channels = filters.as_list()[-2]
    elif kind in ("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D"):
        first = operation.get_attr("data_format").startswith(b"NC")
        window = operation.get_attr("ksize")
        node.kernel = tuple(window[2:] if first else window[1:-1])[-2:]
    elif normalises_layers:
        node.operator = "layer_norm"
    elif kind == "Pow":
        exponent = tf.get_static_value(operation.inputs[1])
        node.constant = float(exponent) if exponent is not None and exponent.size == 1 else None
    elif kind == "ClipByValue":
        node.constant = _bounds([tf.get_static_value(bound) for bound in operation.inputs[1:]])
    if kind in _WITH_LAYOUT and not normalises_layers:
        node.channel_axis = 1 if operation.get_attr("data_format").startswith(b"NC") else -1
    elif node.operator == MATMUL:
        node.channel_axis = -1
    elif kind == "Transpose":
        node.permutation = _permutation(operation)
    return node


def _permutation(operation: tf.Operation) -> tuple[int, ...] | None:
    axes = tf.get_static_value(operation.inputs[1])
    return None if axes is None else tuple(int(axis) % len(axes) for axis in axes)


def _bounds(bounds: Sequence[np.ndarray | None]) -> float | None:
    """6 for bounds of 0 and 6, which make a ReLU6."""
    if any(bound is None or np.ndim(bound) for bound in bounds) or len(bounds) != 2:
        return None
    return 6.0 if float(bounds[0]) == 0.0 and float(bounds[1]) == 6.0 else None


def _size(shape: tf.TensorShape) -> int:
    return math.prod(shape.as_list()) if shape.is_fully_defined() else 0


def _constant_weights(operation: tf.Operation) -> tuple[int, bool]:
    """Numbers that a constant holds, and whether they are all the same.

    A single number, and the ones and zeros of a norm without scale or shift, are no weights.
    """
    proto = operation.get_attr("value")
    size = math.prod(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_content and size:
        uniform = proto.tensor_content == proto.tensor_content[: len(proto.tensor_content) // size] * size
    else:
        uniform = len(proto.float_val) + len(proto.half_val) + len(proto.double_val) <= 1
    fixed = uniform and any(reader.type.startswith("FusedBatchNorm") for reader in operation.outputs[0].consumers())
    return 0 if size <= 1 or fixed else size, uniform
