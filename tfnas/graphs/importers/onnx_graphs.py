"""ONNX models as computation graphs. Nothing is executed, and weights in files of their own are not opened.

Needs the package `onnx` (`pip install tfnas[onnx]`).
"""

import contextlib
import copy
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.onnx_fields import fields as operator_fields
from tfnas.graphs.importers.onnx_flow import Flow, Loop, Region
from tfnas.graphs.importers.onnx_inputs import fill_inputs
from tfnas.graphs.importers.onnx_models import Constants, check_functions, check_names, initialiser_names, node_name
from tfnas.graphs.importers.onnx_shapes import Tensors
from tfnas.graphs.importers.raw import RawGraph, RawNode, Reference, Shape
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.operators import DROP, MATMUL, ONNX, SHAPE, UNKNOWN

_FIRST_INPUT_ONLY = {"Resize", "Upsample", "Clip", "Pad", "CastLike", "Expand", "Reshape", "Tile", "TopK", "CumSum"}
"""Operators whose inputs other than the first are settings, no weights."""
_RECURRENCES = {"LSTM", "GRU", "RNN"}


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
      strict: True refuses extents that nothing gives, and shapes that are not known before the model runs; by default
        they are assumed (`fill_inputs`, `Tensors`), and a note says so.
      **facts: name, family, source and label.

    Raises:
      ConfigurationError: the package `onnx` is missing.
      CorruptArtefactError: not an ONNX file, or a damaged file.
      InvalidArchitectureError: a shape that the file contradicts, a cycle, a node that is not as ONNX has it, more
        numbers than any computer holds, or no path from an input to an output; in a strict reading an open shape, too.
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
    except (onnx.checker.ValidationError, RuntimeError) as error:
        raise InvalidArchitectureError(f"{path}: {str(error).splitlines()[0]}") from error
    graph, constants = model.graph, Constants(path)
    check_names(graph, path, [item.domain for item in model.opset_import])
    inputs = fill_inputs(graph, initialiser_names(graph), input_shapes, dims, path, assume=not strict)
    tensors = Tensors({item.domain: item.version for item in model.opset_import}, constants, path, assume=not strict)
    tensors.declare((*graph.value_info, *graph.output), inputs.named)
    for value in graph.input:
        tensors.set_input(value)
    flow = Flow(tensors, constants, path)
    region = flow.region(graph, inputs.names)
    raw = _Reader(region, constants, tensors.summary(), path).read()
    if inputs.complete and tensors.uncertain:
        raw.hint = f"{tensors.uncertain} decides shapes while it runs"
    raw.notes = (*inputs.notes, *flow.notes, *tensors.notes, *raw.notes)
    return simplify(raw, **{"name": path.stem, "source": "onnx", **facts})


class _Reader:
    def __init__(
        self,
        region: Region,
        constants: Constants,
        types: Mapping[str, tuple[Shape | None, bool]],
        path: pathlib.Path,
    ):
        self.region, self.constants, self.types, self.path = region, constants, types, path
        self.nodes: list[RawNode] = []
        self.constant: list[bool] = []
        self.tensors: dict[str, Reference] = {}
        self.notes: list[str] = []

    def read(self) -> RawGraph:
        for name in self.region.inputs:
            shape, floating = self.types[name]
            axis = 1 if shape is not None and len(shape) >= 4 else -1
            self._add(name, "input", DROP, [], [(name, shape, floating)], is_input=True, channel_axis=axis)
        needed = {name for node in self.region.nodes for name in node.input}.union(self.region.outputs)
        for name, (_, shape) in self.constants.types.items():
            if name in needed:
                fields = {"weights": self.constants.weights(name), "uniform": self.constants.uniform(name)}
                values = [(name, shape, self.constants.floating(name))]
                self._add(name, "Constant", UNKNOWN, [], values, **fields)
        for node in self.region.nodes:
            try:
                self._read(node)
            except (IndexError, KeyError, AttributeError, TypeError) as error:
                raise InvalidArchitectureError(
                    f"{self.path}: node {node_name(node)!r} is not a {node.op_type} as ONNX has it"
                ) from error
        missing = [name for name in self.region.outputs if name not in self.tensors]
        if missing:
            raise InvalidArchitectureError(f"{self.path}: no node makes the output {missing[0]!r}")
        return RawGraph(self.nodes, [self.tensors[name] for name in self.region.outputs], tuple(self.notes))

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
        reached = fields.get("is_input") or not all(self.constant[source] for source, _ in inputs)
        self.constant.append(operator == SHAPE or not reached)
        for index, (output, _, _) in enumerate(outputs):
            if output:
                self.tensors[output] = (number, index)

    def _is_constant(self, name: str) -> bool:
        return name in self.tensors and self.constant[self.tensors[name][0]]

    def _read(self, node: Any) -> None:
        kind, name = node.op_type, node_name(node)
        read = node.input[:1] if kind in _FIRST_INPUT_ONLY else node.input
        if kind in _RECURRENCES:  # constants that the state begins with are no weights
            read = [tensor for index, tensor in enumerate(read) if not 4 <= index < 7 or not self._is_constant(tensor)]
        inputs = [self.tensors[tensor] for tensor in read if tensor]
        outputs = [(tensor, *self.types.get(tensor, (None, True))) for tensor in node.output]
        loop = self.region.loops.get(next(filter(None, node.output)))
        if loop is not None:
            self._loop(node, loop, inputs, outputs)
        else:
            operator = ONNX.get(kind, UNKNOWN) if node.domain in ("", "ai.onnx") else UNKNOWN
            shapes = [self.types.get(tensor, (None, True))[0] for tensor in node.input]
            fields = operator_fields(node, operator, shapes, outputs[0][1], self.constants.values)
            self._add(name, kind, operator, inputs, outputs, **fields)

    def _loop(
        self, node: Any, loop: Loop, inputs: list[Reference], outputs: list[tuple[str, Shape | None, bool]]
    ) -> None:
        """A loop is one operator, with the constants of its body and the multiply-adds of all turns."""
        name = node_name(node)
        # The largest tensor of floats that the loop makes is its result; counters and masks stand beside it.
        outputs = sorted(outputs, key=lambda output: -_size(output[1]) if output[0] and output[2] else 1)
        inputs = [
            ref for ref in inputs if not self.nodes[ref[0]].uniform
        ]  # a state that begins with zeros is no weight
        raw = _Reader(loop.body, self.constants, self.types, self.path).read()
        inner = set(loop.body.constants)
        held = sum(item.weights for item in raw.nodes if item.name in inner and not item.uniform)
        operator, products = UNKNOWN, 0
        with contextlib.suppress(InvalidArchitectureError):  # a body may make all that it returns of constants
            body = simplify(raw)
            operator, products = _recurrent_layer(body.counts()), int(body.multiply_adds.sum())
        if held:
            self._add(f"{name}/weights", "Constant", UNKNOWN, [], [(f"{name}/weights", (held,), True)], weights=held)
            inputs = [*inputs, self.tensors[f"{name}/weights"]]
        self._add(name, node.op_type, operator, inputs, outputs, products=products * (loop.turns or 1))
        if operator == UNKNOWN or loop.turns is None:
            turns = "an unknown number of turns, counted once" if loop.turns is None else f"{loop.turns} turns"
            self.notes.append(
                f"node {name!r} ({node.op_type}): {len(loop.body.nodes)} operators in {turns}, as {operator!r}"
            )
        self.notes.extend(raw.notes)


def _size(shape: Shape | None) -> int:
    return math.prod(extent or 1 for extent in shape or ())


def _recurrent_layer(counts: Mapping[str, int]) -> str:
    """The recurrent layer of which the operators of a loop's body are one turn, else `unknown`."""
    gates = (counts["sigmoid"], counts["tanh"])
    layers = {(3, 2): "lstm", (2, 1): "gru", (0, 1): "rnn"}
    return layers.get(gates, UNKNOWN) if counts[MATMUL] else UNKNOWN
