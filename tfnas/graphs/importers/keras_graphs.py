"""Keras models, of Keras 3 and of tf_keras, as computation graphs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import resource_variable_ops

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.extents import InputShapes, closed_shapes
from tfnas.graphs.importers.keras_errors import reason
from tfnas.graphs.importers.keras_names import layer_names
from tfnas.graphs.importers.keras_quantised import before_quantisation, is_quantised
from tfnas.graphs.importers.raw import Shape
from tfnas.graphs.importers.tensorflow_graphs import from_concrete_function, from_graph_def

KERAS_LIBRARIES = ("keras", "tf_keras")
_SMALL = 4096


def from_keras(
    model: Any, *, inputs: Any = None, input_shapes: InputShapes = None, **facts: object
) -> ComputationGraph:
    """The computation graph of a Keras model in inference mode; a quantised model is read as it was before.

    The model's own Python code runs once, on symbolic tensors, to trace it; no data flows through it.

    Args:
      model: functional, sequential or subclassed model of Keras 3 on the TensorFlow backend or of tf_keras.
      inputs: `tf.TensorSpec`, or a structure of specs as the model takes it, with the batch first; None for a model
        that knows its inputs.
      input_shapes: shapes with the batch first, for inputs whose shapes the model leaves open: by name, or the shape of
        the only input; `closed_shapes` assumes what is left open, with a note.
      **facts: name, family, source and label.

    Raises:
      InvalidArchitectureError: unknown inputs, a shape that the model contradicts, control flow, or no path from input
        to output.
    """
    if is_quantised(model):
        return from_constructor(lambda: before_quantisation(model), inputs=inputs, input_shapes=input_shapes, **facts)[
            0
        ]
    specs, notes = _specs(model, input_shapes) if inputs is None else (inputs, ())
    flat = tf.nest.flatten(specs)

    def call(*tensors: tf.Tensor) -> Any:
        return model(tf.nest.pack_sequence_as(specs, tensors), training=False)

    named = [tf.TensorSpec(spec.shape, spec.dtype, name=f"input_{number}") for number, spec in enumerate(flat)]
    try:
        function = tf.function(call, autograph=False).get_concrete_function(*named)
    except Exception as error:  # Keras raises many classes
        raise InvalidArchitectureError(f"model {model.name!r}: Keras can't trace it: {reason(error)}") from error
    facts = {"name": model.name, "source": "keras", "held": model.count_params(), **facts}
    graph = from_concrete_function(function, **facts)
    return _finished(graph, model, notes, _trainable(model))


def _finished(graph: ComputationGraph, model: Any, notes: tuple[str, ...], trainable: int) -> ComputationGraph:
    """The graph of a model with the notes, the number of trainable weights and the names of layers that Keras knows."""
    known = {layer.name for layer in model._flatten_layers()}
    inputs = [tensor._keras_history[0].name for tensor in getattr(model, "inputs", None) or ()]
    layers = layer_names(graph.layers, model.name, known, inputs)
    return graph.replace(notes=(*notes, *graph.notes), trainable=trainable, layers=layers)


def _trainable(model: Any) -> int:
    """Numbers of a model's weights that training changes."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _specs(model: Any, shapes: InputShapes, default: Sequence[int] = ()) -> tuple[Any, tuple[str, ...]]:
    """The inputs of a model in its structure, and notes; open extents come from a default of the same rank first."""
    symbolic = getattr(model, "inputs", None)
    if not symbolic and shapes is not None and not isinstance(shapes, Mapping):
        return tf.TensorSpec(shapes), ()
    if not symbolic:
        raise InvalidArchitectureError(f"model {model.name!r} does not know its inputs; give their shapes and types")
    declared = {tensor._keras_history[0].name: _closed(tensor.shape, default) for tensor in symbolic}
    closed, notes = closed_shapes(declared, shapes, f"model {model.name!r}")
    specs = [tf.TensorSpec(shape, tensor.dtype) for shape, tensor in zip(closed.values(), symbolic, strict=True)]
    fields = [name for name in ("_inputs_struct", "_nested_inputs") if hasattr(model, name)]
    structure = getattr(model, fields[0]) if fields else None
    if structure is None or len(tf.nest.flatten(structure)) != len(specs):
        return (specs if len(specs) > 1 else specs[0]), notes
    return tf.nest.pack_sequence_as(structure, specs), notes


def _closed(shape: Any, default: Sequence[int]) -> Shape | None:
    """The shape of an input, closed by a default of the same rank."""
    shape = tf.TensorShape(shape)
    if shape.rank is None or shape.rank != len(default):
        return None if shape.rank is None else tuple(shape.as_list())
    extents = zip(shape.as_list()[1:], default[1:], strict=True)
    return (None, *(extent if given is None else given for given, extent in extents))


def from_constructor(
    build: Any,
    *,
    inputs: Any = None,
    input_shapes: InputShapes = None,
    default_input_shape: Sequence[int] = (),
    **facts: object,
) -> tuple[ComputationGraph, int]:
    """The computation graph of a model of Keras 3 that a function builds, without memory for its weights.

    The model is built inside a `tf.Graph`, where variables are declared and never get a value.

    Args:
      build: function without arguments that returns a Keras model.
      inputs: `tf.TensorSpec`, or a structure of specs as the model takes it; None for a model that knows its inputs.
      input_shapes: shapes of inputs; see `from_keras`.
      default_input_shape: extents with the batch first, for inputs of the same rank that leave extents open.
      **facts: name, family, source and label.

    Returns:
      The graph and the model's own count of parameters.

    Raises:
      InvalidArchitectureError: unknown inputs, a shape that the model contradicts, control flow, or no path from input
        to output.
    """
    graph = tf.Graph()
    with graph.as_default(), tf.variable_creator_scope(_declared):
        model = build()
        specs, notes = _specs(model, input_shapes, default_input_shape) if inputs is None else (inputs, ())
        tensors = [
            tf.compat.v1.placeholder(spec.dtype, spec.shape, name=f"tfnas_input_{number}")
            for number, spec in enumerate(tf.nest.flatten(specs))
        ]
        outputs = tf.nest.flatten(model(tf.nest.pack_sequence_as(specs, tensors), training=False))
        parameters, trainable = model.count_params(), _trainable(model)
    imported = from_graph_def(
        graph.as_graph_def(),
        [tensor.op.name for tensor in tensors],
        [tensor.name for tensor in outputs],
        held=parameters,
        **{"name": model.name, "source": "keras", **facts},
    )
    return _finished(imported, model, notes, trainable), parameters


def _declared(_: Any, *, initial_value: Any, dtype: Any = None, **settings: Any) -> Any:
    """A variable of a graph, without the operations that give a variable its value."""
    value = tf.convert_to_tensor(initial_value() if callable(initial_value) else initial_value, dtype)
    passed = {name: settings[name] for name in ("trainable", "name") if name in settings}
    return resource_variable_ops.UninitializedVariable(shape=value.shape, dtype=value.dtype, **passed)


def from_tf_keras_constructor(
    build: Any,
    *,
    inputs: Any = None,
    input_shapes: InputShapes = None,
    default_input_shape: Sequence[int] = (),
    **facts: object,
) -> tuple[ComputationGraph, int]:
    """The computation graph of a model of tf_keras that a function builds; see `from_constructor`.

    A `tf.Graph` would turn the classes of tf_keras into those of TensorFlow 1, for the whole process. So the model is
    built eagerly, with variables that are declared and never get a value. Small variables get a value, as some layers
    read their variables.
    """

    def declare(create: Any, *, shape: Any = None, dtype: Any = None, **settings: Any) -> Any:
        if shape is None or tf.TensorShape(shape).num_elements() <= _SMALL:
            return create(shape=shape, dtype=dtype, **settings)
        passed = {name: settings[name] for name in ("trainable", "name") if name in settings}
        return resource_variable_ops.UninitializedVariable(shape=shape, dtype=dtype, **passed)

    with tf.variable_creator_scope(declare):
        model = build()
    specs, notes = _specs(model, input_shapes, default_input_shape) if inputs is None else (inputs, ())
    graph = from_keras(model, inputs=specs, **facts)
    return graph.replace(notes=(*notes, *graph.notes)), model.count_params()
