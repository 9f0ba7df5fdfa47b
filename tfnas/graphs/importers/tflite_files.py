"""The content of a `.tflite` file: tensors, operations and subgraphs. Weights are not read, and nothing is run.

A `.tflite` file is a flatbuffer: tables that point to each other by offsets. Every offset and length is checked before
it is followed, and a file gives out a bounded number of values, so that a damaged file ends in an error.

References:
  tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

import dataclasses
import functools
import math
import mmap
import pathlib
import struct
from collections.abc import Mapping
from typing import Any

from tfnas.errors import CorruptArtefactError

_IDENTIFIER = b"TFL3"
_MAX_VALUES = 2**26
MAX_NUMBERS = 2**40
"""Numbers that a tensor may hold."""
_MAX_NAME = 200
_MAX_RANK = 8
FIELDS: dict[str, str] = {
    "Model": "version operator_codes subgraphs description buffers metadata_buffer metadata signature_defs",
    "SubGraph": "tensors inputs outputs operators name",
    "Tensor": "shape type buffer name quantization is_variable sparsity shape_signature has_rank variant_tensors"
    " external_buffer",
    "QuantizationParameters": "min max scale",
    "Operator": "opcode_index inputs outputs builtin_options_type builtin_options custom_options custom_options_format"
    " mutating_variable_inputs intermediates large_custom_options_offset large_custom_options_size"
    " builtin_options_2_type builtin_options_2",
    "OperatorCode": "deprecated_builtin_code custom_code version builtin_code",
    "Buffer": "data offset size",
    "SignatureDef": "inputs outputs signature_key - subgraph_index",
    "TensorMap": "name tensor_index",
    "Conv2DOptions": "padding stride_w stride_h fused_activation_function dilation_w_factor dilation_h_factor",
    "Conv3DOptions": "padding stride_d stride_w stride_h fused_activation_function",
    "DepthwiseConv2DOptions": "padding stride_w stride_h depth_multiplier fused_activation_function dilation_w_factor"
    " dilation_h_factor",
    "TransposeConvOptions": "padding stride_w stride_h fused_activation_function",
    "Pool2DOptions": "padding stride_w stride_h filter_width filter_height fused_activation_function",
    "FullyConnectedOptions": "fused_activation_function weights_format keep_num_dims",
    "ConcatenationOptions": "axis fused_activation_function",
    "AddOptions": "fused_activation_function",
    "SubOptions": "fused_activation_function",
    "MulOptions": "fused_activation_function",
    "DivOptions": "fused_activation_function",
    "L2NormOptions": "fused_activation_function",
    "PackOptions": "values_count axis",
    "GatherOptions": "axis",
    "ReducerOptions": "keep_dims",
    "StridedSliceOptions": "begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask",
    "BatchMatMulOptions": "adj_x adj_y",
    "UnidirectionalSequenceLSTMOptions": "fused_activation_function cell_clip proj_clip time_major",
    "BidirectionalSequenceLSTMOptions": "fused_activation_function cell_clip proj_clip merge_outputs time_major",
    "SequenceRNNOptions": "time_major",
    "BidirectionalSequenceRNNOptions": "time_major",
    "IfOptions": "then_subgraph_index else_subgraph_index",
    "WhileOptions": "cond_subgraph_index body_subgraph_index",
    "CallOptions": "subgraph",
    "StableHLOCompositeOptions": "- decomposition_subgraph_index",
}
"""Fields of the tables in the order of the schema, as far as a graph needs them; `-` for any other field."""
_SLOTS = {kind: {name: slot for slot, name in enumerate(names.split())} for kind, names in FIELDS.items()}
_CODES = {
    **dict.fromkeys(("type", "deprecated_builtin_code", "fused_activation_function"), "b"),
    **dict.fromkeys(("builtin_options_type", "builtin_options_2_type", "is_variable"), "B"),
    **dict.fromkeys(("adj_x", "adj_y", "merge_outputs", "time_major", "keep_num_dims", "keep_dims"), "B"),
    **dict.fromkeys(("padding", "weights_format"), "b"),
    **dict.fromkeys(("offset", "size"), "Q"),
}
"""Types of numbers, as `struct` calls them; all other fields are int32."""
_FLOATING = {"FLOAT64": 64, "FLOAT32": 32, "FLOAT16": 16, "BFLOAT16": 16, "COMPLEX64": 64, "COMPLEX128": 128}
_INTEGER = {"INT64": 64, "UINT64": 64, "INT32": 32, "UINT32": 32, "INT16": 16, "UINT16": 16, "INT8": 8, "UINT8": 8}
_BITS = {**_FLOATING, **_INTEGER, "BOOL": 8, "INT4": 4, "UINT4": 4, "INT2": 2}


@dataclasses.dataclass(slots=True)
class Tensor:
    """A tensor of a subgraph.

    Attributes:
      name: name in the file, cut short.
      shape: extents, None where the caller of the model decides.
      type: name of the type of the numbers, for example "FLOAT32".
      floating: True for floating-point numbers and for their quantised form.
      constant: True for numbers that the file fixes.
      variable: True for a state that lasts from one call of the model to the next.
      data: bytes of a constant, empty where they stand in a file of their own.
    """

    name: str
    shape: tuple[int | None, ...]
    type: str
    floating: bool
    constant: bool
    variable: bool
    data: memoryview

    @property
    def numbers(self) -> int:
        """Numbers that the tensor holds; an open extent counts as 1."""
        return math.prod(extent or int(extent is None) for extent in self.shape)


@dataclasses.dataclass(slots=True)
class Operation:
    """An operation of a subgraph: the name of its kind, the tensors that it reads and makes, and its options by name.

    An optional tensor that is not given has the number -1. The kind of a custom operation is the name in the file.
    """

    kind: str
    custom: bool
    inputs: list[int]
    outputs: list[int]
    options: dict[str, int]

    def option(self, name: str) -> int:
        """An option of the operation, 0 by default."""
        return self.options.get(name, 0)


@dataclasses.dataclass(slots=True)
class Subgraph:
    """Operations in the order in which they run, with the tensors that they read and make by number."""

    tensors: list[Tensor]
    inputs: list[int]
    outputs: list[int]
    operations: list[Operation]


@dataclasses.dataclass(slots=True)
class Signature:
    """A way to call the model: its subgraph, and the names of the subgraph's inputs by tensor."""

    subgraph: int
    inputs: dict[int, str]


@dataclasses.dataclass(slots=True)
class TFLiteModel:
    """The content of a file: subgraphs, the first of which is the model, and signatures by name."""

    subgraphs: list[Subgraph]
    signatures: dict[str, Signature]


class _Bytes:
    """The bytes of a file, and the number of values that may still be read from them."""

    def __init__(self, data: memoryview):
        self.data, self.left = data, _MAX_VALUES

    def number(self, position: int, code: str) -> int:
        if position < 0:
            raise ValueError("an offset leads out of the file")
        return struct.unpack_from(f"<{code}", self.data, position)[0]

    def piece(self, start: int, count: int, width: int = 1) -> memoryview:
        if not 0 <= start <= start + count * width <= len(self.data):
            raise ValueError("a vector leads out of the file")
        return self.data[start : start + count * width]

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise ValueError(f"its tables give out more than {_MAX_VALUES} values")


class Table:
    """A table of a flatbuffer; fields are read by their names in `FIELDS`."""

    def __init__(self, file: _Bytes, kind: str, position: int):
        self._file, self.kind, self._position = file, kind, position

    def number(self, name: str) -> int:
        """A number, 0 by default."""
        position = self._field(name)
        return 0 if position is None else self._file.number(position, _CODES.get(name, "i"))

    def numbers(self, name: str) -> list[int]:
        """A vector of int32."""
        start, count = self._vector(name, 4)
        self._file.spend(count)
        return list(struct.unpack(f"<{count}i", self._file.piece(start, count, 4)))

    def length(self, name: str, width: int) -> int:
        """The length of a vector whose elements have some bytes each."""
        return self._vector(name, width)[1]

    def bytes(self, name: str) -> memoryview:
        """A vector of bytes, which are not read."""
        return self._file.piece(*self._vector(name, 1))

    def text(self, name: str) -> str:
        """A string."""
        text = self.bytes(name)
        self._file.spend(len(text))
        return str(text, "utf-8", "replace")

    def table(self, name: str, kind: str) -> "Table | None":
        """The table behind a field."""
        position = self._field(name)
        return None if position is None else self._follow(position, kind)

    def tables(self, name: str, kind: str) -> "list[Table]":
        """A vector of tables."""
        start, count = self._vector(name, 4)
        self._file.spend(count)
        return [self._follow(start + 4 * index, kind) for index in range(count)]

    def _follow(self, position: int, kind: str) -> "Table":
        return Table(self._file, kind, position + self._file.number(position, "I"))

    def _field(self, name: str) -> int | None:
        descriptor = self._position - self._file.number(self._position, "i")
        entry = 4 + 2 * _SLOTS[self.kind][name]
        if entry + 2 > self._file.number(descriptor, "H"):
            return None  # the writer's schema was older than the field
        offset = self._file.number(descriptor + entry, "H")
        return self._position + offset if offset else None

    def _vector(self, name: str, width: int) -> tuple[int, int]:
        position = self._field(name)
        if position is None:
            return 0, 0
        start = position + self._file.number(position, "I")
        count = self._file.number(start, "I")
        self._file.piece(start + 4, count, width)
        return start + 4, count


def read_tflite(path: pathlib.Path) -> TFLiteModel:
    """The content of a `.tflite` file.

    Raises:
      CorruptArtefactError: not a `.tflite` file, or a damaged file.
    """
    try:
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise CorruptArtefactError(f"{path}: no such file") from error
    except ValueError as error:
        raise CorruptArtefactError(f"{path}: not a .tflite file (an empty file)") from error
    if data[4:8] != _IDENTIFIER:
        raise CorruptArtefactError(f"{path}: not a .tflite file (the mark TFL3 is missing)")
    try:
        file = _Bytes(data)
        return _model(Table(file, "Model", file.number(0, "I")))
    except (struct.error, ValueError, IndexError) as error:
        raise CorruptArtefactError(f"{path}: a damaged .tflite file ({error})") from error


def _model(model: Table) -> TFLiteModel:
    codes = [_operator_kind(code) for code in model.tables("operator_codes", "OperatorCode")]
    buffers = model.tables("buffers", "Buffer")
    subgraphs = []
    for subgraph in model.tables("subgraphs", "SubGraph"):
        tensors = [_tensor(tensor, buffers) for tensor in subgraph.tables("tensors", "Tensor")]
        operations = [_operation(operator, codes) for operator in subgraph.tables("operators", "Operator")]
        inputs, outputs = subgraph.numbers("inputs"), subgraph.numbers("outputs")
        named = [number for operation in operations for number in (*operation.inputs, *operation.outputs)]
        for number in (*inputs, *outputs, *named):
            if not -1 <= number < len(tensors):
                raise ValueError(f"tensor {number} of {len(tensors)}")
        subgraphs.append(Subgraph(tensors, inputs, outputs, operations))
    if not subgraphs:
        raise ValueError("no subgraph")
    signatures = {}
    for signature in model.tables("signature_defs", "SignatureDef"):
        number = signature.number("subgraph_index")
        inputs = {table.number("tensor_index"): table.text("name") for table in signature.tables("inputs", "TensorMap")}
        if not 0 <= number < len(subgraphs):
            raise ValueError(f"subgraph {number} of {len(subgraphs)}")
        signatures[signature.text("signature_key")] = Signature(number, inputs)
    return TFLiteModel(subgraphs, signatures)


def _operator_kind(code: Table) -> tuple[str, bool]:
    """The name of an operator, and whether it is a custom one."""
    number = max(code.number("deprecated_builtin_code"), code.number("builtin_code"))
    names = _names("BuiltinOperator")
    if number not in names:
        raise ValueError(f"operator {number} is not in the schema")
    custom = names[number] == "CUSTOM"
    return (code.text("custom_code") or "CUSTOM" if custom else names[number]), custom


def _operation(operator: Table, codes: list[tuple[str, bool]]) -> Operation:
    index = operator.number("opcode_index")
    if not 0 <= index < len(codes):
        raise ValueError(f"operator code {index} of {len(codes)}")
    options: dict[str, int] = {}
    for field, union in (("builtin_options", "BuiltinOptions"), ("builtin_options_2", "BuiltinOptions2")):
        kind = _names(union).get(operator.number(f"{field}_type"))
        table = operator.table(field, kind) if kind in FIELDS else None
        if table is not None:
            options = {name: table.number(name) for name in _SLOTS[kind] if name != "-"}
    return Operation(*codes[index], operator.numbers("inputs"), operator.numbers("outputs"), options)


def _tensor(tensor: Table, buffers: list[Table]) -> Tensor:
    name = tensor.text("name").partition(";")[0][:_MAX_NAME]  # converters join the names of all that a tensor replaces
    kind = _names("TensorType").get(tensor.number("type"))
    if kind is None:
        raise ValueError(f"tensor {name!r} has the type {tensor.number('type')}")
    shape, signature = tensor.numbers("shape"), tensor.numbers("shape_signature")
    extents = signature if len(signature) == len(shape) else shape
    if len(shape) > _MAX_RANK:
        raise ValueError(f"tensor {name!r} has {len(shape)} dimensions")
    if any(extent < 0 for extent in shape) or any(extent < -1 for extent in extents):
        raise ValueError(f"tensor {name!r} has the shape {shape}")
    if math.prod(shape) > MAX_NUMBERS:
        raise ValueError(f"tensor {name!r} of the shape {shape} has more than {MAX_NUMBERS} numbers")
    index = tensor.number("buffer")
    if not 0 <= index < max(1, len(buffers)):
        raise ValueError(f"buffer {index} of {len(buffers)}")
    data = buffers[index].bytes("data") if buffers else memoryview(b"")
    far = bool(buffers) and (buffers[index].number("size") > 1 or tensor.number("external_buffer") > 0)
    quantization = tensor.table("quantization", "QuantizationParameters")
    quantised = quantization is not None and quantization.length("scale", 4) > 0
    constant = bool(len(data)) or far
    dense = len(data) and kind in _BITS and tensor.table("sparsity", "Tensor") is None
    if dense and math.prod(shape) * _BITS[kind] > 8 * len(data):
        raise ValueError(f"constant {name!r} of the shape {shape} has {len(data)} bytes")
    known = tuple(None if extent < 0 else extent for extent in extents)
    shape = tuple(shape) if constant else known
    return Tensor(name, shape, kind, kind in _FLOATING or quantised, constant, bool(tensor.number("is_variable")), data)


@functools.cache
def _names(enumeration: str) -> Mapping[int, str]:
    """The names of an enumeration of the schema that TensorFlow ships, by number."""
    from tensorflow.lite.python import schema_py_generated

    values: dict[str, Any] = vars(getattr(schema_py_generated, enumeration))
    return {number: name for name, number in values.items() if isinstance(number, int)}
