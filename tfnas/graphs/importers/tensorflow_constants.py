"""Constants of a TensorFlow graph, which TensorFlow itself computes where a shape depends on them."""

import collections
from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.operators import TENSORFLOW

_CONSTANT_ARITHMETIC = {
    *("Const", "VarHandleOp", "VariableV2", "Variable", "ReadVariableOp", "Fill", "Range", "LinSpace", "OnesLike"),
    *(
        "BroadcastArgs",
        "BroadcastGradientArgs",
        "InvertPermutation",
        "ListDiff",
        "Unique",
        "MatrixDiag",
        "MatrixDiagV3",
    ),
    *("ConcatOffset", "DynamicStitch", "ParallelConcat", "ZerosLike", "LeftShift", "RightShift", "Atan2", "Xlogy"),
    *("Empty", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Cumprod", "Polygamma", "Lgamma", "Digamma", "NoOp"),
}


def check_constants(nodes: Sequence[tf.compat.v1.NodeDef]) -> None:
    """Refuses constants that TensorFlow might compute, to infer a shape, by operations that it should not run.

    Only arithmetic is allowed: a file's content, for example, would otherwise show in a shape.
    """
    waiting = {node.name: node for node in nodes}
    readers = collections.defaultdict(list)
    for node in nodes:
        for name in node.input:
            readers[name.partition(":")[0]].append(node.name)
    stack = [node.name for node in nodes if _is_run_time_value(node)]
    while stack:
        name = stack.pop()
        if waiting.pop(name, None) is not None:
            stack.extend(readers[name])
    for node in waiting.values():
        if node.op not in TENSORFLOW and node.op not in _CONSTANT_ARITHMETIC:
            raise InvalidArchitectureError(
                f"node {node.name!r} ({node.op}) makes a constant that only running it would tell"
            )


def _is_run_time_value(node: tf.compat.v1.NodeDef) -> bool:
    """Whether TensorFlow never computes a node to infer a shape: data, what has a state, and variables of loops."""
    definition = op_def_registry.get(node.op)
    return node.op in ("Placeholder", "Merge") or (definition is not None and definition.is_stateful)
