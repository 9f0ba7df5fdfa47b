"""The graph of a model of Keras 3 from its configuration alone: no layer is built and nothing is traced.

The reader writes down the operations that Keras would trace, under the same names and in the same order, so that the
graph equals that of `from_constructor`. It knows the layers of `keras_rules`; `read_configuration` declines any other
model, which Keras then builds.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfnas.errors import TfnasError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.extents import InputShapes, closed_shapes
from tfnas.graphs.importers.keras_names import layer_names
from tfnas.graphs.importers.keras_operations import Operations, Tensor
from tfnas.graphs.importers.keras_rules import ARITHMETIC, RULES, Rule
from tfnas.graphs.importers.keras_settings import Settings, State, UnknownLayerError
from tfnas.graphs.importers.raw import RawGraph, in_order_of_readiness
from tfnas.graphs.importers.simplify import simplify

_FUNCTIONAL = ("keras.src.models.functional", "Functional")
_SEQUENTIAL = ("keras", "Sequential")
_INPUT = ("keras.layers", "InputLayer")
_UNSEEN = {"mask": (None,), "training": (None, False)}
"""Arguments of calls, and their values that change nothing at inference."""

Call = tuple[str, int]
"""A call of a layer: name of the layer and number of the call."""


@dataclasses.dataclass
class _Layer:
    """A layer of a model: an input with a shape, a layer with a rule, or a model."""

    settings: Settings
    shape: tuple[int | None, ...] = ()
    rule: Rule | None = None
    scoped: bool = True
    state: State = dataclasses.field(default_factory=dict)
    model: "_Model | None" = None


@dataclasses.dataclass
class _Model:
    """A model: layers by name, arguments of every call, calls in Keras's order, and tensors of inputs and outputs."""

    name: str
    layers: dict[str, _Layer]
    calls: dict[Call, list[Any]]
    inputs: list[str]
    outputs: list[tuple[Call, int]]

    def names(self) -> Iterator[str]:
        """Names of all layers, those of inner models included."""
        yield self.name
        for name, layer in self.layers.items():
            if layer.model is not None:
                yield from layer.model.names()
            elif layer.scoped:
                yield name

    def order(self) -> list[Call]:
        """Calls in the order in which Keras makes them: from the calls that are furthest from the outputs."""
        depths: dict[Call, int] = {}
        layer_depths: dict[str, int] = {}
        for call in reversed(self._sources_first()):
            depth = max(depths.setdefault(call, 0), layer_depths.get(call[0], 0))
            depths[call] = layer_depths[call[0]] = depth
            for source in self._sources(call):
                depths[source] = max(depth + 1, depths.get(source, 0))
        return sorted(depths, key=lambda call: -depths[call])

    def _sources(self, call: Call) -> list[Call]:
        return [value[0] for value in _flat(self.calls[call]) if isinstance(value, tuple)]

    def _sources_first(self) -> list[Call]:
        """Calls that the outputs need, every call behind its sources."""
        finished: dict[Call, None] = {}
        started: set[Call] = set()
        stack = [(output, iter(self._sources(output))) for output, _ in reversed(self.outputs)]
        while stack:
            call, sources = stack[-1]
            started.add(call)
            source = next((other for other in sources if other not in finished), None)
            if call in finished or source is None:
                finished[call] = None
                stack.pop()
            elif source in started:
                raise UnknownLayerError("a cycle")
            else:
                stack.append((source, iter(self._sources(source))))
        return list(finished)


def read_configuration(
    config: Mapping[str, Any], *, input_shapes: InputShapes = None, **facts: object
) -> ComputationGraph | None:
    """The computation graph of a model of Keras 3, None for a model with a layer or a setting that no rule knows.

    Args:
      config: configuration of the model, as a `.keras` file holds it.
      input_shapes: shapes of inputs; see `from_keras`.
      **facts: name, family, source and label.

    Raises:
      InvalidArchitectureError: a shape that the model contradicts, or no path from input to output.
    """
    try:
        operations = Operations(open_batch=True)  # weights do not depend on the batch
        model = _read_model(config, operations, trainable=True)
        declared = {name: model.layers[name].shape for name in model.inputs}
        shapes, notes = closed_shapes(declared, input_shapes, f"model {model.name!r}")
        operations.open_batch = _batch_is_open(list(shapes.values()))
        data = [
            operations.input(f"tfnas_input_{number}", (shape[0] or 1, *shape[1:]))
            for number, shape in enumerate(shapes.values())
        ]
        with _inside(model.name, operations):
            outputs = _compute(model, operations, data)
    except TfnasError:
        raise
    except (UnknownLayerError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        return None  # a configuration is anything: Keras builds it, or says what is wrong with it
    raw = _in_order(operations, outputs)
    graph = simplify(raw, **{"name": model.name, "source": "keras", **facts})
    trainable = sum(variable.size for variable in operations.variables if variable.trainable)
    layers = layer_names(graph.layers, model.name, set(model.names()), model.inputs)
    return graph.replace(notes=(*notes, *graph.notes), trainable=trainable, layers=layers)


def _batch_is_open(shapes: Sequence[Sequence[int | None]]) -> bool:
    """Whether the size of the batch is not known, for all inputs alike."""
    batches = {shape[0] for shape in shapes}
    if len(batches) != 1:
        raise UnknownLayerError("inputs with batches of different sizes")
    return batches == {None}


def _in_order(operations: Operations, outputs: Sequence[Tensor]) -> RawGraph:
    """The operations in the order in which TensorFlow's reader has them."""
    nodes = operations.nodes
    order = in_order_of_readiness(
        [node.name for node in nodes], [{source for source, _ in node.inputs} for node in nodes]
    )
    rank = {number: position for position, number in enumerate(order)}
    for node in nodes:
        node.inputs = [(rank[source], output) for source, output in node.inputs]
    held = sum(variable.size for variable in operations.variables)
    return RawGraph([nodes[number] for number in order], [(rank[tensor.number], 0) for tensor in outputs], held=held)


def _read_model(entry: Mapping[str, Any], operations: Operations, *, trainable: bool) -> _Model:
    """A model whose layers have their weights."""
    config = entry["config"]
    sequential = _class(entry) == _SEQUENTIAL
    if not sequential and _class(entry) != _FUNCTIONAL:
        raise UnknownLayerError(f"a model of the class {_class(entry)}")
    if not isinstance(config.get("trainable", True), bool):
        raise UnknownLayerError("a model that says neither that it is trained nor that it is not")
    trainable = trainable and config.get("trainable", True)
    layers: dict[str, _Layer] = {}
    calls: dict[Call, list[Any]] = {}
    for item in config["layers"]:
        layer = _read_layer(item, operations, trainable=trainable)
        previous = next(reversed(layers), None)
        name = layer.settings.name
        if name in layers:
            raise UnknownLayerError(f"two layers {name!r}")
        if not sequential and (item["name"] != name or (_class(item) == _INPUT and item["inbound_nodes"])):
            raise UnknownLayerError(f"a layer {name!r} of two names, or an input with a source")
        layers[name] = layer
        if _class(item) == _INPUT:
            calls[name, 0] = []
        elif sequential:
            calls[name, 0] = [((previous, 0), 0)]
        else:
            calls |= {(name, number): _arguments(node) for number, node in enumerate(item["inbound_nodes"])}
    if sequential:
        names = list(layers)
        return _checked(_Model(config["name"], layers, calls, names[:1], [((names[-1], 0), 0)]))
    inputs = [name for name, _, _ in _references(config["input_layers"])]
    outputs = []
    for name, number, output in _references(config["output_layers"]):
        # A functional model counts the node that links its inputs to its outputs as its first call.
        inner = layers[name].model is not None and _class_of(config, name) == _FUNCTIONAL
        outputs.append(((name, number - inner), output))
    return _checked(_Model(config["name"], layers, calls, inputs, outputs))


def _class_of(config: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    return next(_class(item) for item in config["layers"] if item["config"]["name"] == name)


def _checked(model: _Model) -> _Model:
    """A model whose inputs are all of its layers that take data, and whose calls are all there."""
    sources = [value[0] for arguments in model.calls.values() for value in _flat(arguments) if isinstance(value, tuple)]
    if not {*sources, *(call for call, _ in model.outputs)} <= set(model.calls):
        raise UnknownLayerError("a call that is not there")
    if {(name, 0) for name in model.inputs} != {call for call, arguments in model.calls.items() if not arguments}:
        raise UnknownLayerError("inputs that are no inputs of the model")
    return model


def _class(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    return entry.get("module"), entry.get("class_name")


def _read_layer(entry: Mapping[str, Any], operations: Operations, *, trainable: bool) -> _Layer:
    """A layer with its weights."""
    kind = _class(entry)
    if kind in (_FUNCTIONAL, _SEQUENTIAL):
        model = _read_model(entry, operations, trainable=trainable)
        return _Layer(Settings({"name": model.name}), model=model)
    settings = Settings(entry["config"], trainable=trainable)
    if kind == _INPUT:
        for name in ("sparse", "ragged", "optional"):
            settings.expect(name, False, default=False)
        shape = tuple(extent and settings.size(extent) for extent in settings["batch_shape"])
        settings.check_read()
        return _Layer(settings, shape=shape)
    scoped = kind not in ARITHMETIC
    rule = (RULES if scoped else ARITHMETIC).get(kind)
    if rule is None:
        raise UnknownLayerError(f"a layer of the class {kind}")
    with operations.scope(settings.name):
        state = rule.build(operations, settings, (entry.get("build_config") or {}).get("input_shape"))
    return _Layer(settings, rule=rule, scoped=scoped, state=state)


def _references(value: Any) -> list[tuple[str, int, int]]:
    """Tensors of inputs or outputs of a model, in order."""
    single = isinstance(value[0], str)
    return [(name, number, output) for name, number, output in ([value] if single else value)]


def _arguments(node: Mapping[str, Any]) -> list[Any]:
    """The arguments of a call: tensors as pairs of a call and a number of its outputs, lists of tensors, or numbers."""
    for name, value in node["kwargs"].items():
        if value not in _UNSEEN[name]:
            raise UnknownLayerError(f"the argument {name}")
    return [_argument(value) for value in node["args"]]


def _argument(value: Any) -> Any:
    if isinstance(value, list):
        return [_argument(item) for item in value]
    if isinstance(value, int | float):
        return value
    if value["class_name"] != "__keras_tensor__" or value["config"]["dtype"] != "float32":
        raise UnknownLayerError("a tensor of other numbers")
    name, number, output = value["config"]["keras_history"]
    return (name, number), output


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _compute(model: _Model, operations: Operations, data: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a model for inputs, in the present scope."""
    if len(data) != len(model.inputs):
        raise UnknownLayerError("another number of inputs")
    results = {(name, 0): [tensor] for name, tensor in zip(model.inputs, data, strict=True)}
    for name, tensor in zip(model.inputs, data, strict=True):
        shape = model.layers[name].shape
        if len(shape) != len(tensor.shape) or any(a not in (None, b) for a, b in zip(shape, tensor.shape, strict=True)):
            raise UnknownLayerError("an input of another shape")
    for call in model.order():
        if call in results:
            continue
        layer = model.layers[call[0]]
        arguments = model.calls[call]
        if layer.scoped and len(arguments) == 1 and isinstance(arguments[0], list):
            arguments = arguments[0]
        values = [results[value[0]][value[1]] if isinstance(value, tuple) else value for value in arguments]
        results[call] = _call(layer, operations, values)
    return [results[call][output] for call, output in model.outputs]


def _call(layer: _Layer, operations: Operations, values: Sequence[Any]) -> list[Tensor]:
    settings, rule = layer.settings, layer.rule
    if not layer.scoped:
        return [rule.call(operations, values, settings, layer.state)]
    with _inside(settings.name, operations):
        if layer.model is not None:
            return _compute(layer.model, operations, values)
        output = rule.call(operations, values, settings, layer.state)
    settings.check_read()
    return [output]


@contextlib.contextmanager
def _inside(name: str, operations: Operations) -> Iterator[None]:
    """The scope of a call, which Keras opens twice: first to make weights that are missing."""
    with operations.scope(name):
        pass
    with operations.scope(name):
        yield
