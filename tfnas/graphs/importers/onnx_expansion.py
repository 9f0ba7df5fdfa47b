"""Operators that other operators of ONNX can be written for: quantised, fused, and those with a body of their own."""

import dataclasses
from collections.abc import Callable
from typing import Any

from tfnas.graphs.importers.onnx_attention import STANDARD
from tfnas.graphs.importers.onnx_fused import FUSED
from tfnas.graphs.importers.onnx_models import Constants
from tfnas.graphs.importers.onnx_quantised import INTEGER_PRODUCTS, QUANTISED, shift
from tfnas.graphs.importers.onnx_shapes import Tensors, schema_of
from tfnas.graphs.importers.onnx_writer import OPSET, Writer
from tfnas.graphs.importers.raw import Shape
from tfnas.graphs.operators import ONNX

_BODIES = "bodies"
"""Domain of the bodies of operators while they are written out."""


@dataclasses.dataclass
class Expansion:
    """Operators that stand for one operator.

    Attributes:
      nodes: operators in the order in which they run.
      opset: version of the operators of ONNX among them.
      constants: names of the constants that they hold, nodes `Constant` apart.
    """

    nodes: list[Any]
    opset: int
    constants: list[str] = dataclasses.field(default_factory=list)


class Expander:
    """Writes operators as other operators.

    Args:
      tensors: types of the tensors of a model.
      constants: constants of the model; quantised weights are noted there.
    """

    def __init__(self, tensors: Tensors, constants: Constants):
        self._tensors, self._constants = tensors, constants
        self._scales: set[str] = set()
        self._sums: set[str] = set()

    def expand(self, node: Any) -> Expansion | None:
        """Operators for an operator whose operands are known; None for an operator that stays, or does not fit."""
        kind, standard = node.op_type, node.domain in ("", "ai.onnx")
        self._note_scales(node)
        schema = schema_of(kind, "", self._tensors.opset) if standard else None
        write = QUANTISED.get(kind) or (STANDARD.get(kind) if schema else FUSED.get(kind))
        if kind in INTEGER_PRODUCTS:
            self._sums.update(node.output)
        elif kind in ("Add", "Sub") and not self._sums.isdisjoint(node.input):
            self._sums.update(node.output)
            write = shift
        if write is not None:
            written = self._written(node, write)
            if written is None or set(node.output) <= {"", *(name for piece in written.nodes for name in piece.output)}:
                return written
        if schema is not None and kind not in ONNX and (schema.has_function or schema.has_context_dependent_function):
            return self._inlined(node, schema)
        return None

    def _written(self, node: Any, write: Callable[[Writer], None]) -> Expansion | None:
        names: list[str] = []

        def declare(name: str, shape: Shape) -> None:
            self._constants.declare(name, shape)
            self._tensors.add_constant(name)
            names.append(name)

        writer = Writer(node, self._tensors.shape, declare)
        try:
            write(writer)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError):
            return None  # it lacks operands or attributes, or their shapes are not known
        self._constants.quantised.update(name for name in writer.quantised if name in self._constants.sizes)
        return Expansion(writer.nodes, OPSET, names)

    def _inlined(self, node: Any, schema: Any) -> Expansion | None:
        """The body that ONNX has for an operator, None for a body that depends on types that are not known."""
        import onnx

        try:
            body = self._body(node, schema)
        except (RuntimeError, ValueError, TypeError):
            return None
        if body is None:
            return None
        body.domain, body.name = _BODIES, node.op_type
        call = onnx.NodeProto()
        call.CopyFrom(node)
        call.domain = _BODIES
        given = {attribute.name for attribute in node.attribute}
        call.attribute.extend(
            attribute.default_value
            for name, attribute in schema.attributes.items()
            if name not in given and attribute.default_value.name
        )
        inputs = [self._tensors.value_info(name) for name in dict.fromkeys(node.input) if name]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = onnx.helper.make_graph([call], node.op_type, inputs, outputs)
        imports = [*body.opset_import, onnx.helper.make_opsetid(_BODIES, 1)]
        model = onnx.helper.make_model(graph, functions=[body], opset_imports=imports)
        try:
            nodes = list(onnx.inliner.inline_local_functions(model).graph.node)
        except (RuntimeError, ValueError, onnx.checker.ValidationError):
            return None
        for piece in nodes:
            piece.name = node.name or next(filter(None, node.output))
        return Expansion(nodes, max(item.version for item in body.opset_import if not item.domain))

    def _body(self, node: Any, schema: Any) -> Any:
        import onnx

        if schema.has_function:
            return schema.function_body
        versions = [item for item in schema.context_dependent_function_opset_versions if item <= self._tensors.opset]
        version = max(versions, default=schema.since_version)
        types = [
            (self._tensors.value_info(name).type if name else onnx.TypeProto()).SerializeToString()
            for name in node.input
        ]
        try:
            content = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        except (RuntimeError, ValueError, onnx.checker.ValidationError):
            return None
        return onnx.FunctionProto.FromString(content) if content else None

    def _note_scales(self, node: Any) -> None:
        """Follows the scales of numbers that are quantised while the model runs; they are multiplied by constants."""
        if node.op_type == "DynamicQuantizeLinear":
            self._scales.update(node.output[1:2])
        elif node.op_type == "Mul" and not self._scales.isdisjoint(node.input):
            factors = set(node.input) - self._scales
            if factors <= self._constants.sizes.keys():
                self._constants.settings.update(factors)
                self._scales.update(node.output)
