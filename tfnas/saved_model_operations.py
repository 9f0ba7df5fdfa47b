"""What a SavedModel may do, read from its declaration before TensorFlow loads it.

A SavedModel is a program. Loading runs its initialisers, and calling a signature runs its graph, whose operations may
read and write files, open sockets and call Python. Exports of tfnas compute and do nothing else: their operations are
listed here, and a graph with any other operation is refused. The functions that TensorFlow adds to save and restore
variables touch files. Loading and calling an export runs neither function, and a graph that calls one is refused.
"""

import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow.core.framework import attr_value_pb2
from tensorflow.core.protobuf import saved_model_pb2

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError, UntrustedModelError

COMPUTING = frozenset(
    {
        *("Abs", "Add", "AddN", "AddV2", "All", "Any", "ArgMax", "Assert", "AssignVariableOp", "BatchMatMulV2"),
        *("BiasAdd", "Bitcast", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BroadcastTo", "Cast", "ComplexAbs"),
        *("Concat", "ConcatV2", "Const", "Cumsum", "DisableCopyOnRead", "DivNoNan", "Einsum", "Elu"),
        *("EnsureShape", "Equal", "Erf", "Erfc", "Exp", "ExpandDims", "FFT2D", "Fill", "Floor", "FloorDiv"),
        *("FloorMod", "GatherNd", "GatherV2", "Greater", "GreaterEqual", "Identity", "IdentityN", "If", "Imag"),
        *("InvertPermutation", "IsFinite", "LeakyRelu", "LeftShift", "Less", "LessEqual", "Log", "Log1p", "LogicalAnd"),
        *("LogicalNot", "LogicalOr", "LowerBound", "MatMul", "MatrixBandPart", "MatrixDiagV3", "Max"),
        *("Maximum", "Mean", "Min", "Minimum", "Mul", "Neg", "NoOp", "NotEqual", "OneHot", "OnesLike", "Pack"),
        *("Pad", "PadV2", "ParseExampleV2", "PartitionedCall", "Placeholder", "Pow", "Prod"),
        *("RaggedRange", "RaggedTensorToTensor"),
        *("Range", "ReadVariableOp", "Real", "RealDiv", "Relu", "Relu6", "Reshape"),
        *("ResourceGather", "ReverseV2", "RightShift", "Round", "Rsqrt", "ScatterNd", "Select", "SelectV2"),
        *("SelfAdjointEigV2", "Selu", "Shape", "ShardedFilename", "Sigmoid", "Sign", "Size", "Slice"),
        *("Softmax", "Softplus", "SparseMatrixMatMul", "SparseSegmentSumGrad", "SparseSegmentSumWithNumSegments"),
        *("SparseTensorToCSRSparseMatrix", "Split", "SplitV", "Sqrt", "Square"),
        *("SquaredDifference", "Squeeze"),
        *("StatefulPartitionedCall", "StatelessIf", "StatelessWhile", "StaticRegexFullMatch", "StopGradient"),
        *("StridedSlice", "StringJoin", "Sub", "Sum", "Tanh", "TensorListFromTensor", "TensorListGetItem"),
        *("TensorListReserve", "TensorListSetItem", "TensorListStack", "TensorScatterAdd"),
        *("TensorScatterMax", "TensorScatterSub", "TensorScatterUpdate", "Tile", "TopKV2"),
        *("Transpose", "Unique", "Unpack", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentSum"),
        *("VarHandleOp", "Where", "While", "ZerosLike"),
    }
)
"""Operations that compute, hold variables, or call functions of the graph."""

_SAVING = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints"})


def check_operations(folder: artefacts.PathLike) -> None:
    """Refuses a SavedModel that may do more than compute. The SavedModel is read and not run.

    Args:
      folder: folder of the SavedModel.

    Raises:
      CorruptArtefactError: no SavedModel of TensorFlow 2, or a damaged SavedModel.
      UntrustedModelError: an operation that is not in `COMPUTING`; the error names the operations.
    """
    operations = foreign_operations(folder)
    if operations:
        raise UntrustedModelError(
            f"{folder}: its graph may do more than compute ({', '.join(operations)}); a SavedModel is a program, so "
            "pass --trust, or trust=True, only if its maker is trusted"
        )


def foreign_operations(folder: artefacts.PathLike) -> list[str]:
    """Operations of a SavedModel that are not in `COMPUTING`, in alphabetical order.

    The functions that save and restore variables count only if something besides TensorFlow's saver refers to them.

    Raises:
      CorruptArtefactError: see `check_operations`.
    """
    meta = _declaration(pathlib.Path(folder))
    library = {function.signature.name: function for function in meta.graph_def.library.function}
    saver = meta.saver_def
    calls = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name}
    rest = [node for node in meta.graph_def.node if node.name not in calls]
    saving = {name for node in meta.graph_def.node if node.name in calls for name in _called([node])}
    bodies = {name: list(function.node_def) for name, function in library.items()}
    referred = set(_called(rest)) | {name for body in bodies.values() for name in _called(body)}
    objects = meta.object_graph_def.SerializeToString()
    alone = {name for name in saving if name not in referred and name.encode() not in objects}
    foreign = {node.op for node in meta.graph_def.node} - COMPUTING
    for name, body in bodies.items():
        allowed = COMPUTING | _SAVING if name in alone else COMPUTING
        foreign |= {node.op for node in body} - allowed
    return sorted(foreign)


def _declaration(folder: pathlib.Path) -> Any:
    """The only graph of a SavedModel of TensorFlow 2."""
    path = folder / "saved_model.pb"
    if (folder / "saved_model.cpb").exists():
        raise CorruptArtefactError(f"{folder}: has saved_model.cpb, expected saved_model.pb alone")
    if not path.is_file():
        raise CorruptArtefactError(f"{folder}: not a loadable SavedModel (no saved_model.pb)")
    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise CorruptArtefactError(f"{path}: not a loadable SavedModel ({error})") from error
    if len(proto.meta_graphs) != 1 or not proto.meta_graphs[0].HasField("object_graph_def"):
        raise CorruptArtefactError(f"{path}: not a loadable SavedModel (not of TensorFlow 2)")
    return proto.meta_graphs[0]


def _called(nodes: Iterable[Any]) -> Iterator[str]:
    """Names of functions that nodes refer to, as operations or in attributes."""
    for node in nodes:
        yield node.op
        for value in node.attr.values():
            yield from _functions(value)


def _functions(value: attr_value_pb2.AttrValue) -> Iterator[str]:
    """Names of functions in an attribute."""
    for function in (*([value.func] if value.HasField("func") else []), *value.list.func):
        yield function.name
        for inner in function.attr.values():
            yield from _functions(inner)
