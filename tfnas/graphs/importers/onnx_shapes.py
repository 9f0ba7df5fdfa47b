"""The shapes and small values of the tensors of an ONNX model, one operator after the other."""

import contextlib
import functools
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.onnx_models import (
    MAX_NUMBERS,
    MAX_RANK,
    Constants,
    attributes_of,
    floating_types,
    node_name,
)
from tfnas.graphs.importers.onnx_types import empty_type, filled, known_shape, tensor_type, with_shape
from tfnas.graphs.importers.onnx_values import LARGE, Call, evaluate
from tfnas.graphs.importers.raw import Shape

_MAX_VALUES = 2**24
"""Numbers of all computed tensors together; beyond it nothing more is computed."""

_SHAPE_FROM_FLOATS = {"Resize", "Upsample", "Range"}
_AXES = {"axis", "axes", "perm", "batch_dims", "batch_axis", "time_axis"}
_RECURRENT = {"LSTM", "GRU", "RNN"}
_KEEPS_TYPE = {"GroupNormalization"}
"""Operators for which ONNX has no inference: the output is like the first operand."""


class Tensors:
    """What is known of the tensors of a model before it runs.

    Args:
      opsets: versions of the operator sets by domain.
      constants: constants of the model.
      path: file of the model, for error messages.
      assume: True gives a shape to every tensor. An extent that cannot be inferred is that which the file notes for the
        tensor; else that of the first operand at the same axis, counted from the last; else 1. A reshape keeps its
        numbers: the last unknown extent is what the others leave. A tensor of unknown rank has the shape of the first
        operand.

    Attributes:
      values: numbers of the tensors that can be computed, by the tensor's name.
      uncertain: the first operator whose shape cannot be inferred, "" for none.
    """

    def __init__(self, opsets: Mapping[str, int], constants: Constants, path: pathlib.Path, *, assume: bool):
        import onnx

        versions = {domain: min(version, 2**31 - 1) for domain, version in opsets.items()}
        self._opsets = {"" if domain == "ai.onnx" else domain: version for domain, version in versions.items()}
        self._imports = [onnx.helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        self._constants, self._path, self._assume = constants, path, assume
        self._declared: dict[str, Any] = {}
        self._named: dict[str, int] = {}
        self._protos: dict[str, Any] = {}
        self._assumed: dict[str, list[str]] = {}
        self._room = _MAX_VALUES
        self._shared: dict[bytes, tuple[Any, Shape | None]] = {}
        self._types: dict[str, Any] = {}
        self._shapes: dict[str, Shape | None] = {}
        self.values: dict[str, np.ndarray] = {}
        self.uncertain = ""

    @property
    def notes(self) -> list[str]:
        """Lines about the operators whose shapes were assumed, one per kind and reason."""
        return [
            f"node {names[0]!r} {kind}; its shape was assumed" + (f", as for {len(names) - 1} more" * (len(names) > 1))
            for kind, names in self._assumed.items()
        ]

    def declare(self, values: Sequence[Any], named: Mapping[str, int]) -> None:
        """Notes the types that a file gives for its tensors, and the extents of the dimensions that it names."""
        self._declared |= {value.name: value.type for value in values}
        self._named |= named

    def __contains__(self, name: object) -> bool:
        """Whether a tensor is made before the operator that is visited next."""
        return name in self._types

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor, or of the tensors of a sequence; None for an unknown rank."""
        return self._shapes.get(name)

    def value_info(self, name: str) -> Any:
        """The type of a tensor as a graph has it for an input."""
        import onnx

        return onnx.helper.make_value_info(name, self._types[name])

    def summary(self) -> dict[str, tuple[Shape | None, bool]]:
        """The shapes of all tensors by name, and whether they hold floating-point numbers."""
        return {name: (shape, self.floating(name)) for name, shape in self._shapes.items()}

    def floating(self, name: str) -> bool:
        """Whether a tensor holds floating-point numbers; tensors of unknown type do."""
        kind = tensor_type(self._types.get(name))
        return kind is None or not kind.elem_type or kind.elem_type in floating_types()

    def _set(self, name: str, kind: Any) -> None:
        # Tensors of one type share an object, as large models have few types.
        key = kind.SerializeToString()
        if key not in self._shared:
            self._shared[key] = (kind, known_shape(tensor_type(kind)))
        self._types[name], self._shapes[name] = self._shared[key]

    def add_constant(self, name: str) -> None:
        """The type of a constant, and its numbers, if they are few."""
        import onnx

        self._set(name, onnx.helper.make_tensor_type_proto(*self._constants.types[name]))
        if name in self._constants.values:
            self.values[name] = self._constants.values[name]

    def set_input(self, value: Any) -> None:
        """The type of an input whose open extents are filled in; an unknown rank is 0 if shapes are assumed.

        Raises:
          InvalidArchitectureError: more than 2^40 numbers or 64 axes.
        """
        import onnx

        known = known_shape(tensor_type(value.type))
        self._check(known or (), f"input {value.name!r} has")
        self._set(value.name, with_shape(value.type, None, () if known is None and self._assume else known))
        kind = tensor_type(value.type)
        if known and 0 in known and None not in known and kind.elem_type == onnx.TensorProto.INT64:
            self.values[value.name] = np.zeros(known, np.int64)  # axes that no one lists are known to be none

    def copy_type(self, name: str, source: str, declared: Any, shape: Shape | None) -> None:
        """Gives a tensor the type of another tensor, or where that is not known a declared type, with some shape."""
        kind = self._types.get(source) or empty_type()
        if shape is None:
            shape = known_shape(tensor_type(declared), self._named)
        if self._assume:
            shape = tuple(1 if extent is None else extent for extent in shape or ())
        self._set(name, with_shape(kind, declared, shape))

    @property
    def opset(self) -> int:
        """Version of the operators of ONNX that the model uses."""
        import onnx

        return self._opsets.get("", onnx.defs.onnx_opset_version())

    def visit(self, node: Any, opset: int | None = None) -> None:
        """Infers the types of the outputs of an operator whose operands are known, and computes small values.

        Args:
          node: operator.
          opset: version of an operator of ONNX, that of the model by default.

        Raises:
          InvalidArchitectureError: an output of more than 2^40 numbers or 64 axes, or a node that does not fit its
            operands where no shape is assumed.
        """
        inferred, fault = self._infer(node, opset)
        outputs = [name for name in node.output if name]
        for name in outputs:
            self._set(name, inferred.get(name) or empty_type())
            if min(filter(None, self._shapes[name] or ()), default=0) < 0:
                self._set(name, empty_type())
                fault = "its window is larger than its input"
        if fault and not self._assume:
            raise InvalidArchitectureError(f"{self._path}: node {node_name(node)!r} ({node.op_type}): {fault}")
        self._compute(node)
        for name in outputs:
            shape = self._shapes[name]
            if fault or shape is None or None in shape:
                self._complete(node, name, fault)
                shape = self._shapes[name] or ()
            self._check(shape, f"node {node_name(node)!r} ({node.op_type}) makes")

    def _check(self, shape: Shape, words: str) -> None:
        if len(shape) > MAX_RANK or math.prod(extent or 1 for extent in shape) > MAX_NUMBERS:
            shown = f"{str(list(shape[:8]))[:-1]}, ...]" if len(shape) > 8 else list(shape)
            raise InvalidArchitectureError(
                f"{self._path}: {words} more than 2^40 numbers or {MAX_RANK} axes, a tensor of the shape {shown}"
            )

    def _infer(self, node: Any, opset: int | None) -> tuple[dict[str, Any], str]:
        """The types of an operator's outputs as ONNX infers them, and why it cannot."""
        import onnx

        kind, domain = node.op_type, "" if node.domain == "ai.onnx" else node.domain
        version = opset if opset is not None and not domain else self._opsets.get(domain, self.opset)
        schema = schema_of(kind, domain, version)
        if schema is None:
            return {}, ""
        types = {name: self._types.get(name) or empty_type() for name in node.input if name}
        data = {name: self._proto(name) for name in types if self._decides(kind, name)}
        imports = self._imports if opset is None else [onnx.helper.make_opsetid("", opset)]
        if kind in _KEEPS_TYPE:
            return {node.output[0]: next(iter(types.values()), empty_type())}, ""
        if fault := _fatal_fault(node):
            return {}, fault
        if kind in _RECURRENT:
            node = self._with_hidden_size(node)
        try:
            return onnx.shape_inference.infer_node_outputs(schema, node, types, data, None, imports), ""
        except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError) as error:
            return {}, str(error).splitlines()[0].removeprefix("[ShapeInferenceError] ")

    def _with_hidden_size(self, node: Any) -> Any:
        """A recurrent layer with its size written out."""
        import onnx

        if "hidden_size" in attributes_of(node) or len(node.input) < 3:
            return node
        result = onnx.NodeProto()
        result.CopyFrom(node)
        hidden = (self.shape(node.input[2]) or (None,))[-1]
        result.attribute.extend([onnx.helper.make_attribute("hidden_size", hidden)] if hidden else [])
        return result

    def _decides(self, kind: str, name: str) -> bool:
        """Whether the numbers of an operand can decide the shape of an operator."""
        value = self.values.get(name)
        return value is not None and value.ndim <= 1 and (value.dtype.kind in "iu" or kind in _SHAPE_FROM_FLOATS)

    def _proto(self, name: str) -> Any:
        import onnx

        if name not in self._protos:
            self._protos[name] = onnx.numpy_helper.from_array(np.array(self.values[name], order="C"), name)
        return self._protos[name]

    def _compute(self, node: Any) -> None:
        """Computes the numbers of an operator's outputs, if they are few and those of its operands are known."""
        import onnx

        if node.domain not in ("", "ai.onnx") or not node.input:
            return
        if node.op_type in ("Shape", "Size"):
            results = self._measured(node)
        elif any(name and name not in self.values for name in node.input):
            return
        else:
            numbers = [_numbers(self._shapes[name]) for name in node.output if name]
            if node.op_type != "NonZero" and not all(number is not None and number <= LARGE for number in numbers):
                return
            operands = [self.values[name] if name else None for name in node.input]
            results = evaluate(node.op_type, Call(operands, attributes_of(node), len(node.output)))
        for name, value in zip(node.output, results or [], strict=False):
            self._room -= value.size
            if name and value.size <= LARGE and self._room > 0:
                kind = tensor_type(self._types[name])
                element = kind.elem_type if kind is not None else 0
                if element:
                    value = value.astype(onnx.helper.tensor_dtype_to_np_dtype(element), copy=False)
                else:
                    element = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
                self._set(name, onnx.helper.make_tensor_type_proto(element, value.shape))
                self.values[name] = value

    def _measured(self, node: Any) -> list[np.ndarray] | None:
        """The shape of an operand, or the count of its numbers."""
        shape = self.shape(node.input[0])
        if shape is not None and node.op_type == "Shape":
            window = attributes_of(node)
            shape = shape[window.get("start") : window.get("end")]
        if shape is None or None in shape:
            return None
        return [np.array(shape if node.op_type == "Shape" else math.prod(shape), np.int64)]

    def _complete(self, node: Any, name: str, fault: str) -> None:
        """Assumes what cannot be inferred of the type of a tensor."""
        self.uncertain = self.uncertain or f"node {node_name(node)!r} ({node.op_type})"
        declared = self._declared.get(name)
        noted = known_shape(tensor_type(declared), self._named)
        known = self._shapes[name]
        if known is None or noted is None or len(noted) != len(known):
            known = noted if known is None else known
        else:
            known = tuple(there if extent is None else extent for extent, there in zip(known, noted, strict=True))
        if self._assume and (fault or known is None or None in known):
            first = next((shape for shape in map(self.shape, node.input) if shape is not None), ())
            known = first if known is None else filled(known, first, keep=node.op_type == "Reshape")
            names = self._assumed.setdefault(f"({node.op_type}): {fault or 'not known before it runs'}", [])
            names.extend([node_name(node)] if node_name(node) not in names[-1:] else [])
        self._set(name, with_shape(self._types[name], declared, known))


def _fatal_fault(node: Any) -> str:
    """What is wrong with a node that ends the process in which ONNX infers its shape, "" for nothing."""
    for item in node.attribute:
        if item.name in _AXES and any(abs(axis) > MAX_RANK for axis in (item.i, *item.ints)):
            return "it has an axis that no tensor has"
        if item.name == "num_outputs" and item.i != len(node.output):
            return f"it has {len(node.output)} outputs, not {item.i}"
    return ""


@functools.cache
def schema_of(kind: str, domain: str, version: int) -> Any:
    """The schema of an operator, None for one that ONNX does not have.

    An operator that is younger than the version has its newest schema: onnxruntime writes such operators.
    """
    import onnx

    for choice in ((kind, version, domain), (kind, domain)):
        with contextlib.suppress(onnx.defs.SchemaError):
            return onnx.defs.get_schema(*choice)
    return None


def _numbers(shape: Shape | None) -> int | None:
    return None if shape is None or None in shape else math.prod(shape)
