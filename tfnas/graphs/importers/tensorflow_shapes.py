"""Shapes that TensorFlow does not infer, though its graph holds them, and nodes that are there for a shape alone."""

from collections.abc import MutableMapping, Sequence

import numpy as np
import tensorflow as tf

from tfnas.graphs.importers.raw import RawNode
from tfnas.graphs.operators import SHAPE

_LOOKUPS = {"LookupTableFind", "LookupTableFindV2"}
_MAX_STEPS = 8
_INTEGER = tf.int32.as_datatype_enum

Nodes = MutableMapping[str, tf.compat.v1.NodeDef]


def settle_shapes(nodes: Nodes) -> None:
    """Writes shapes into a graph without functions, in place.

    Args:
      nodes: nodes by name.
    """
    for node in list(nodes.values()):
        if node.op in _LOOKUPS and len(node.input) == 3:
            _reshape_answers(nodes, node)
        elif node.op == "DenseBincount" and len(node.input) == 3:
            size = _fixed_size(nodes, node.input[1])
            node.input[1] = size or node.input[1]
        elif node.op == "RaggedTensorToTensor" and len(node.input) > 3:
            _reshape_rows(nodes, node)


def _reshape_answers(nodes: Nodes, node: tf.compat.v1.NodeDef) -> None:
    """Gives the answers of a table the shape of the keys."""
    shape = _shape_of(nodes, node, node.input[1], node.attr["Tin"].type)
    _reshape(nodes, node, shape, node.attr["Tout"].type)


def _reshape_rows(nodes: Nodes, node: tf.compat.v1.NodeDef) -> None:
    """Gives words of texts, filled up to one length, as many rows as there are texts."""
    extents, split = nodes.get(node.input[0].partition(":")[0]), nodes.get(node.input[3].partition(":")[0])
    for _ in range(_MAX_STEPS):
        if split is not None and split.op in ("StridedSlice", "Cast", "Identity"):
            split = nodes.get(split.input[0].partition(":")[0])
    if not _is(split, "StringSplitV2") or not _is(extents, "Const"):
        return
    sizes = tf.make_ndarray(extents.attr["value"].tensor).ravel()
    if len(sizes) < 2 or (sizes[1:] < 0).any():
        return
    rows = _shape_of(nodes, node, split.input[0], tf.string.as_datatype_enum)
    names = [f"{node.name}/{name}" for name in ("axis", "extents", "rows")]
    for name, value in zip(names, (np.int32(0), sizes[1:].astype(np.int32)), strict=False):
        nodes[name] = tf.compat.v1.NodeDef(name=name, op="Const")
        nodes[name].attr["dtype"].type = _INTEGER
        nodes[name].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    axis, length, joined = names
    nodes[joined] = tf.compat.v1.NodeDef(name=joined, op="ConcatV2", input=[rows, length, axis])
    nodes[joined].attr["N"].i = 2
    nodes[joined].attr["T"].type = nodes[joined].attr["Tidx"].type = _INTEGER
    _reshape(nodes, node, joined, node.attr["T"].type)


def _shape_of(nodes: Nodes, node: tf.compat.v1.NodeDef, tensor: str, kind: int) -> str:
    """Adds the shape of a tensor, and returns its name."""
    name = f"{node.name}/shape"
    nodes[name] = tf.compat.v1.NodeDef(name=name, op="Shape", input=[tensor])
    nodes[name].attr["T"].type, nodes[name].attr["out_type"].type = kind, _INTEGER
    return name


def _reshape(nodes: Nodes, node: tf.compat.v1.NodeDef, shape: str, kind: int) -> None:
    """Makes a node a reshape of what the node computed before."""
    name = f"{node.name}/values"
    nodes[name] = tf.compat.v1.NodeDef()
    nodes[name].CopyFrom(node)
    nodes[name].name = name
    node.Clear()
    node.name, node.op = name.removesuffix("/values"), "Reshape"
    node.input.extend([name, shape])
    node.attr["T"].type, node.attr["Tshape"].type = kind, _INTEGER


def _fixed_size(nodes: Nodes, tensor: str) -> str | None:
    """The constant that bounds a number of classes from both sides, None for a number that data decides."""
    upper = nodes.get(tensor.partition(":")[0])
    if upper is None or upper.op != "Minimum":
        return None
    lower = nodes.get(upper.input[1].partition(":")[0])
    bounds = [_value(nodes, upper.input[0]), _value(nodes, lower.input[0])] if _is(lower, "Maximum") else [None]
    return upper.input[0] if bounds[0] is not None and len(set(bounds)) == 1 else None


def _value(nodes: Nodes, tensor: str) -> int | None:
    node = nodes.get(tensor.partition(":")[0])
    if not _is(node, "Const") or node.attr["value"].tensor.tensor_shape.dim:
        return None
    return int(tf.make_ndarray(node.attr["value"].tensor))


def _is(node: tf.compat.v1.NodeDef | None, op: str) -> bool:
    return node is not None and node.op == op


def forget_zeros(nodes: Sequence[RawNode]) -> None:
    """Lets zeros in the shape of data, which only spread out constant tensors, depend on the shape alone.

    Args:
      nodes: nodes in topological order.
    """
    data: list[bool] = []
    spoiled: set[int] = set()
    for node in nodes:
        read = [source for source, _ in node.inputs if data[source]]
        data.append(node.is_input or (bool(read) and node.operator != SHAPE))
        zeros = [source for source in read if nodes[source].kind == "ZerosLike"]
        tensors = [nodes[source].shapes[output] for source, output in node.inputs if not data[source]]
        if node.operator != "add" or len(read) != 1 or not any(tensors):
            spoiled.update(zeros)
    for number, node in enumerate(nodes):
        if node.kind == "ZerosLike" and number not in spoiled:
            node.operator = SHAPE
