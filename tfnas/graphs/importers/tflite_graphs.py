"""TensorFlow Lite models as computation graphs. Nothing is executed, and no weights are read."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.errors import InvalidArchitectureError, TfnasError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.extents import InputShapes, closed_shapes
from tfnas.graphs.importers.products import convolution, matrix_product, recurrence
from tfnas.graphs.importers.raw import RawGraph, RawNode, Reference, Shape
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.importers.tflite_files import Operation, Signature, Subgraph, Tensor, TFLiteModel, read_tflite
from tfnas.graphs.importers.tflite_loops import integer, recurrent_operator, results_first, steps
from tfnas.graphs.importers.tflite_shapes import close_shapes
from tfnas.graphs.operators import (
    CLIP,
    CONV_TRANSPOSE,
    DROP,
    RELU6,
    TENSORFLOW,
    TFLITE,
    UNKNOWN,
    WEIGHTED,
)

_FUSED = {1: ("RELU", "relu"), 2: ("RELU_N1_TO_1", CLIP), 3: ("RELU6", RELU6), 4: ("TANH", "tanh")}
"""Fused activations by their number in the schema: names in TensorFlow Lite and in the vocabulary."""
_FILTERS = {
    "CONV_2D": "OHWI",
    "DEPTHWISE_CONV_2D": "IHWO",
    "TRANSPOSE_CONV": "OHWI",
    "CONV_3D": "DHWIO",
    "CONV_3D_TRANSPOSE": "DHWOI",
}
"""Axes of the filters of convolutions: outputs, inputs, and the kernel's depth, height and width."""
_RECURRENT = {"lstm", "rnn"}
_WEIGHTED = {*WEIGHTED, "prelu", *_RECURRENT}
"""Operators whose constant operands are weights, whatever the numbers."""
_BODIES = {"then_subgraph_index", "else_subgraph_index", "body_subgraph_index", "subgraph"}
_BODIES |= {"cond_subgraph_index", "decomposition_subgraph_index"}
"""Options that name the subgraphs which an operation runs."""
_POOLS = {"max_pool", "avg_pool"}
_SMALL = 4096
_DTYPES = {"FLOAT32": np.float32, "FLOAT16": np.float16, "FLOAT64": np.float64}


def from_tflite(
    path: artefacts.PathLike,
    *,
    signature: str | None = None,
    input_shapes: InputShapes = None,
    **facts: object,
) -> ComputationGraph:
    """The computation graph of a `.tflite` file. Quantised weights count as weights.

    Args:
      path: `.tflite` file.
      signature: name of a signature, whose subgraph is read; the first subgraph by default.
      input_shapes: shapes with the batch first, for inputs whose shapes the file leaves open: by name, or the shape of
        the only input. Open extents that nothing gives are assumed, with a note.
      **facts: name, family, source and label.

    Raises:
      CorruptArtefactError: not a `.tflite` file, or a damaged file.
      InvalidArchitectureError: no such signature, a shape that contradicts the file, an operation that is not as
        TensorFlow Lite has it, or no path from an input to an output.
    """
    path = pathlib.Path(path)
    model = read_tflite(path)
    if signature and signature not in model.signatures:
        known = ", ".join(sorted(model.signatures)) or "none"
        raise InvalidArchitectureError(f"{path}: no signature {signature!r}, it has {known}")
    first = next((entry for entry in model.signatures.values() if entry.subgraph == 0), Signature(0, {}))
    raw = _Reader(model, model.signatures[signature] if signature else first, path).read(input_shapes)
    return simplify(raw, **{"name": path.stem, "source": "tflite", **facts})


class _Reader:
    def __init__(self, model: TFLiteModel, signature: Signature, path: pathlib.Path):
        self.model, self.signature, self.path = model, signature, path
        self.graph: Subgraph = model.subgraphs[signature.subgraph]
        self.nodes: list[RawNode] = []
        self.made: dict[int, Reference] = {}
        self.notes: list[str] = []

    def read(self, input_shapes: InputShapes) -> RawGraph:
        self._close_shapes(input_shapes)
        for number in self.graph.inputs:
            self._add(self._name(number), "input", DROP, [], [number], is_input=True)
        for number, weights in _constants(self.graph).items():
            tensor = self.graph.tensors[number]
            fields = {"weights": weights, "uniform": bool(weights) and _uniform(tensor)}
            self._add(tensor.name, "constant", UNKNOWN, [], [number], **fields)
        for operation in self.graph.operations:
            outputs = [number for number in operation.outputs if number >= 0]
            if outputs:  # the rest assigns states
                try:
                    self._read(operation, outputs)
                except TfnasError:
                    raise
                except (IndexError, TypeError, ValueError, AttributeError) as error:
                    raise InvalidArchitectureError(
                        f"{self.path}: {self.graph.tensors[outputs[0]].name!r} does not come from a "
                        f"{operation.kind} as TensorFlow Lite has it"
                    ) from error
        return RawGraph(self.nodes, [self._made(number) for number in self.graph.outputs], tuple(self.notes))

    def _close_shapes(self, given: InputShapes) -> None:
        names = {number: self._name(number) for number in self.graph.inputs}
        declared = {name: self.graph.tensors[number].shape for number, name in names.items()}
        shapes, notes = closed_shapes(declared, given, self.path)
        unknown = close_shapes(self.graph, {number: shapes[name] for number, name in names.items()})
        self.notes += [
            *notes,
            *(f"the shape of {name!r} is not known; its open extents count as 1" for name in unknown),
        ]

    def _name(self, number: int) -> str:
        """The name of an input: that of the signature, if it names the input."""
        return self.signature.inputs.get(number) or self.graph.tensors[number].name

    def _made(self, number: int) -> Reference:
        if number not in self.made:
            name = self.graph.tensors[number].name
            raise InvalidArchitectureError(f"{self.path}: an operation reads {name!r}, which nothing makes")
        return self.made[number]

    def _add(
        self, name: str, kind: str, operator: str, inputs: list[Reference], outputs: Sequence[int], **fields: Any
    ) -> Reference:
        tensors = [self.graph.tensors[number] for number in outputs]
        shapes, floating = [tensor.shape for tensor in tensors], [tensor.floating for tensor in tensors]
        self.nodes.append(RawNode(name, kind, operator, inputs, shapes, floating, **fields))
        self.made.update({number: (len(self.nodes) - 1, index) for index, number in enumerate(outputs)})
        return len(self.nodes) - 1, 0

    def _read(self, operation: Operation, outputs: list[int]) -> None:
        name = self.graph.tensors[outputs[0]].name
        inputs = [self._made(number) for number in operation.inputs if number >= 0]
        kind, operator = operation.kind, TFLITE.get(operation.kind, UNKNOWN)
        if operation.custom and kind.startswith("Flex"):  # an operator of TensorFlow
            kind = kind.removeprefix("Flex")
            operator = TENSORFLOW.get(kind, UNKNOWN)
        if kind == "HARD_SWISH":
            gate = self._add(f"{name}/gate", kind, RELU6, inputs, outputs)
            self._add(name, kind, "mul", [*inputs, gate], outputs)
            return
        if kind == "WHILE":
            self._loop(name, operation, inputs)
            return
        if operator == UNKNOWN:
            inputs += self._bodies(name, operation)
        elif operator == CONV_TRANSPOSE:
            inputs = inputs[1:]  # the first operand is the shape of the output
        made = self._add(name, kind, operator, inputs, outputs, **self._fields(operation, operator))
        activation = _FUSED.get(operation.option("fused_activation_function"))
        if activation is not None and operator not in _RECURRENT:
            self._add(f"{name}/activation", *activation, [made], outputs)

    def _loop(self, name: str, operation: Operation, inputs: list[Reference]) -> None:
        """A loop: a recurrent operator where its body multiplies by weights."""
        graphs = self.model.subgraphs
        condition, body = (graphs[operation.option(f"{role}_subgraph_index")] for role in ("cond", "body"))
        operands = [self.graph.tensors[number].shape for number in operation.inputs]
        close_shapes(body, dict(zip(body.inputs, operands, strict=True)))
        turns = steps(condition, body, [integer(self.graph, number) for number in operation.inputs])
        operator = recurrent_operator(body) or UNKNOWN
        products = 0
        for inside in body.operations:
            output = next((body.tensors[number].shape for number in inside.outputs), ())
            products += _products(inside, TFLITE.get(inside.kind, UNKNOWN), _operands(body, inside), output) or 0
        if turns is None:
            self.notes.append(f"node {name!r} ({operation.kind}): its steps are not known, and count as one")
        # States that start with zeros are no weights.
        inputs = [ref for ref in inputs if not self.nodes[ref[0]].uniform] + self._bodies(name, operation)
        outputs = [operation.outputs[position] for position in results_first(body)]
        fields = {"channel_axis": -1, "products": products * (1 if turns is None else turns)}
        self._add(name, operation.kind, operator, inputs, outputs, **fields)
        shapes = self.nodes[-1].shapes
        if operator != UNKNOWN and turns is not None and len(shapes[0]) == 3:
            shapes[0] = (turns, *shapes[0][1:])  # a layer without sequences stores its last output alone

    def _bodies(self, name: str, operation: Operation) -> list[Reference]:
        """A constant with all weights of the subgraphs that an operation runs, if there are any."""
        seen = {self.signature.subgraph, 0}  # options that are not there read as 0
        waiting = [operation]
        while waiting:
            runner = waiting.pop()
            entered = {runner.option(name) for name in _BODIES} - seen
            for number in entered & set(range(len(self.model.subgraphs))):
                seen.add(number)
                waiting += self.model.subgraphs[number].operations
        bodies = [self.model.subgraphs[number] for number in seen - {self.signature.subgraph, 0}]
        held = [(body.tensors[number], count) for body in bodies for number, count in _constants(body).items()]
        weights = sum(count for tensor, count in held if count and not _uniform(tensor))
        if not weights:
            return []
        self.nodes.append(RawNode(f"{name}/body", "constant", UNKNOWN, [], [(weights,)], [True], weights=weights))
        return [(len(self.nodes) - 1, 0)]

    def _fields(self, operation: Operation, operator: str) -> dict[str, Any]:
        tensors = _operands(self.graph, operation)
        fields: dict[str, Any] = {
            "products": _products(operation, operator, tensors, self.graph.tensors[operation.outputs[0]].shape)
        }
        if operation.kind in _FILTERS:
            extents = dict(zip(_FILTERS[operation.kind], tensors[1].shape, strict=True))
            fields |= {"kernel": (extents["H"], extents["W"]), "group_channels": extents["I"]}
        elif operator in _POOLS:
            fields["kernel"] = (operation.option("filter_height"), operation.option("filter_width"))
        elif operator == "pow":
            fields["constant"] = _number(tensors[1])
        elif operation.kind == "TRANSPOSE" and len(tensors[1].data):
            order = np.frombuffer(tensors[1].data, np.int32, count=len(tensors[0].shape)).tolist()
            fields["permutation"] = tuple(range(len(order))[axis] for axis in order)
        if operator in _WEIGHTED or operator in _POOLS:
            fields["channel_axis"] = -1
        if operator in WEIGHTED:
            bias = 3 if operator == CONV_TRANSPOSE else 2
            fields["has_bias"] = len(tensors) > bias and tensors[bias] is not None
        return fields


def _operands(graph: Subgraph, operation: Operation) -> list[Tensor | None]:
    """The tensors that an operation reads, None for an optional tensor that is not given."""
    return [graph.tensors[number] if number >= 0 else None for number in operation.inputs]


def _products(operation: Operation, operator: str, tensors: list[Tensor | None], output: Shape) -> int | None:
    """Multiply-adds of an operation, None for an operation without products of weights or of two tensors."""
    if operation.kind in _FILTERS:
        axes = _FILTERS[operation.kind]
        if operator == CONV_TRANSPOSE:
            return convolution(tensors[2].shape, tensors[1].shape, axes.index("I"))
        return convolution(output, tensors[1].shape, axes.index("O"))
    if operation.kind == "FULLY_CONNECTED":
        return matrix_product(output, tensors[1].shape)  # a row of the weights for each number
    if operation.kind == "BATCH_MATMUL":
        return matrix_product(output, tensors[0].shape, bool(operation.option("adj_x")))
    if operator in _RECURRENT:
        constants = [tensor.shape for tensor in tensors[1:] if tensor is not None and tensor.constant]
        return recurrence(tensors[0].shape, [shape for shape in constants if len(shape) == 2])
    return None


def _constants(graph: Subgraph) -> dict[int, int]:
    """The tensors of a subgraph that no operation makes, with the weights that each of them holds."""
    operations = [operation for operation in graph.operations if TFLITE.get(operation.kind) in _WEIGHTED]
    always = {number for operation in operations for number in operation.inputs}
    made = {number for operation in graph.operations for number in operation.outputs} | set(graph.inputs)
    constants = {}
    for number, tensor in enumerate(graph.tensors):
        if tensor.constant:
            held = tensor.floating and (tensor.numbers > 1 or number in always)
            constants[number] = tensor.numbers if held else 0
        elif number not in made and (tensor.variable or not tensor.numbers):
            constants[number] = 0
    return constants


def _uniform(tensor: Tensor) -> bool:
    """Whether a constant is the same number several, but not very many, times."""
    numbers = tensor.numbers
    if not 1 < numbers <= _SMALL or len(tensor.data) < numbers:
        return False
    width = len(tensor.data) // numbers
    return tensor.data == bytes(tensor.data[:width]) * numbers


def _number(tensor: Tensor) -> float | None:
    """The number that a constant holds, None for several numbers, for quantised numbers and for data."""
    if not tensor.constant or tensor.numbers != 1 or tensor.type not in _DTYPES or not len(tensor.data):
        return None
    return float(np.frombuffer(tensor.data, _DTYPES[tensor.type], count=1)[0])
