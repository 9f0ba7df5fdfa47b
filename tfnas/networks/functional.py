"""A network as rows of standard layers, from which a functional model of plain Keras 3 and its source code are made.

The networks of `tfnas.networks` are subclassed models of tf_keras. Their method `describe` lists the layers that
inference runs, with the trained weights; what only training uses (drop path, auxiliary classifiers) is left out.
"""

import collections
import dataclasses
import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tf_keras

from tfnas import saved_models
from tfnas.errors import ConfigurationError

Value = int
"""Number of a value in a block: first the block's inputs, then the outputs of the rows."""

OUTPUT = "logits"
"""Name of the last layer."""

MERGING = ("Add", "Concatenate", "Multiply")


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A layer of plain Keras.

    Attributes:
      kind: name of the class in `keras.layers`.
      inputs: values that the layer takes.
      settings: arguments of the class, without those that have their default value.
      weights: trained weights in the order of `layer.weights`; empty for a layer without weights.
    """

    kind: str
    inputs: tuple[Value, ...]
    settings: Mapping[str, Any]
    weights: Sequence[np.ndarray] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """Rows that belong together, such as a cell.

    Attributes:
      name: name of the block; blocks of one name and structure are one function of the source code.
      inputs: number of the block's inputs.
      rows: layers and calls of inner blocks, each of which takes earlier values.
      output: value that the block returns.
    """

    name: str
    inputs: int
    rows: Sequence["Row | Call"]
    output: Value


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """An inner block and the values that it takes."""

    block: Block
    inputs: tuple[Value, ...]


class Blueprint:
    """Collects the rows of a block.

    Args:
      inputs: number of the block's inputs, which are the values 0, 1, ...

    Example:
      >>> blueprint = Blueprint()
      >>> pooled = blueprint.chain(0, "ReLU", "GlobalAveragePooling2D")
      >>> block = blueprint.block("classifier", blueprint.layer("Dense", pooled, units=3))
      >>> [row.kind for row in block.rows]
      ['ReLU', 'GlobalAveragePooling2D', 'Dense']
    """

    def __init__(self, inputs: int = 1):
        self._inputs, self._rows = inputs, []

    def layer(self, kind: str, *inputs: Value, weights: Sequence[np.ndarray] = (), **settings: Any) -> Value:
        """The output of a layer of `keras.layers`."""
        return self._add(Row(kind, inputs, settings, weights))

    def copy(self, layer: tf_keras.layers.Layer, *inputs: Value, **settings: Any) -> Value:
        """The output of the layer of plain Keras that equals a built standard layer of tf_keras."""
        equal = settings_of(layer) | settings
        return self.layer(type(layer).__name__, *inputs, weights=layer.get_weights(), **equal)

    def chain(self, value: Value, *steps: str | tf_keras.layers.Layer) -> Value:
        """The output of layers in a row: names of classes of `keras.layers`, or layers to copy."""
        for step in steps:
            value = self.layer(step, value) if isinstance(step, str) else self.copy(step, value)
        return value

    def inner(self, name: str, describe: Callable[..., Value], *inputs: Value) -> Value:
        """The output of an inner block.

        Args:
          name: name of the block.
          describe: function from the inner block's blueprint and inputs to its output.
          *inputs: values that the block takes.
        """
        blueprint = Blueprint(len(inputs))
        return self._add(Call(blueprint.block(name, describe(blueprint, *range(len(inputs)))), inputs))

    def inner_chain(self, name: str, value: Value, *steps: str | tf_keras.layers.Layer) -> Value:
        """The output of an inner block of layers in a row; see `chain`."""
        return self.inner(name, lambda blueprint, inputs: blueprint.chain(inputs, *steps), value)

    def classifier(self, layer: tf_keras.layers.Dense, value: Value, *steps: str | tf_keras.layers.Layer) -> Value:
        """The logits: layers in a row, then a dense layer; see `chain`."""
        return self.copy(layer, self.chain(value, *steps), name=OUTPUT)

    def total(self, values: Sequence[Value]) -> Value:
        """The sum of one or more values."""
        return values[0] if len(values) == 1 else self.layer("Add", *values)

    def zeros(self, value: Value) -> Value:
        """Zeros of the shape of a value."""
        return self.layer("Rescaling", value, scale=0.0)

    def every_second(self, value: Value) -> Value:
        """Every second row and column of pixels, from the first: strides as the padding of PyTorch has them."""
        return self.layer("MaxPooling2D", value, pool_size=1, strides=2)

    def without_channels(self, value: Value, count: int) -> Value:
        """An image without its last channels, which a cropping layer takes for columns."""
        cropping = ((0, 0), (0, count))
        return self.layer("Cropping2D", value, cropping=cropping, data_format="channels_first") if count else value

    def block(self, name: str, output: Value) -> Block:
        """The rows that an output depends on."""
        needed = {output}
        for number in reversed(range(len(self._rows))):
            if number + self._inputs in needed:
                needed.update(self._rows[number].inputs)
        numbers = {value: value for value in range(self._inputs)}
        rows = []
        for value, row in enumerate(self._rows, start=self._inputs):
            if value in needed:
                numbers[value] = self._inputs + len(rows)
                rows.append(dataclasses.replace(row, inputs=tuple(numbers[source] for source in row.inputs)))
        return Block(name, self._inputs, rows, numbers[output])

    def _add(self, row: Row | Call) -> Value:
        self._rows.append(row)
        return self._inputs + len(self._rows) - 1


class Classifier(tf_keras.Model):
    """A subclassed network that also is a functional model of plain Keras 3; see `to_keras`."""

    def describe(self, blueprint: Blueprint, images: Value) -> Value:
        """Adds the layers that inference runs to a blueprint; returns the logits."""
        raise NotImplementedError

    def save(self, filepath: str | os.PathLike[str], *arguments: Any, **settings: Any) -> None:
        """Writes a `.keras` file that opens in plain Keras 3, or what tf_keras writes for other suffixes.

        Raises:
          ConfigurationError: the network was not called yet, or is the network of all architectures.
        """
        if not os.fspath(filepath).endswith(".keras"):
            super().save(filepath, *arguments, **settings)
            return
        if self.save_spec() is None:
            raise ConfigurationError(f"{os.fspath(filepath)}: call the network on images before it is saved")
        (images, *_), _ = self.save_spec()
        saved_models.save_keras_file(to_keras(block_of(self), images.shape[1:]), filepath)


def block_of(network: Any, mean: Sequence[float] = (), deviation: Sequence[float] = ()) -> Block:
    """The rows of a network, with the standardisation of its images before them.

    Args:
      network: a `Classifier` that was called before, or a functional model of Keras 3 or tf_keras, of standard layers.
      mean: mean of each channel that is subtracted from the pixels; empty for images that are standardised.
      deviation: standard deviation of each channel that the pixels are divided by.

    Raises:
      ConfigurationError: the network is the network of all architectures, or holds what plain Keras has no layer for.
    """
    blueprint = Blueprint()
    images = 0
    if len(mean):
        variance = [float(value) ** 2 for value in deviation]
        images = blueprint.layer("Normalization", 0, mean=[float(value) for value in mean], variance=variance)
    if isinstance(network, Classifier):
        return blueprint.block(type(network).__name__, network.describe(blueprint, images))
    return blueprint.block("classifier", _describe_functional(network, blueprint, images))


def _describe_functional(model: Any, blueprint: Blueprint, images: Value) -> Value:
    """The output of a functional model whose layers are copied one by one."""
    values: dict[tuple[int, int], Value] = {}

    def value_of(tensor: Any) -> Value:
        layer, call, _ = tensor._keras_history
        node = layer._inbound_nodes[call]
        if (id(layer), call) not in values:
            inputs = [value_of(source) for source in getattr(node, "keras_inputs", node.input_tensors)]
            values[id(layer), call] = blueprint.copy(layer, *inputs) if inputs else images
        return values[id(layer), call]

    if len(getattr(model, "outputs", None) or ()) != 1:
        raise ConfigurationError(f"{type(model).__name__} {model.name!r} is no functional model with one output")
    return value_of(model.outputs[0])


def to_keras(block: Block, image_shape: Sequence[int | None]) -> Any:
    """The functional `keras.Model` of a network's rows, with their weights: images to logits.

    Layers are numbered as in a fresh process, whatever the process made before.

    Args:
      block: rows of a network; see `block_of`.
      image_shape: height, width and channels.
    """
    import keras

    counts: collections.Counter[str] = collections.Counter()

    def outputs(block: Block, inputs: Sequence[Any]) -> Any:
        values = list(inputs)
        for row in block.rows:
            arguments = [values[number] for number in row.inputs]
            if isinstance(row, Call):
                values.append(outputs(row.block, arguments))
                continue
            name = snake_case(row.kind)
            layer = getattr(keras.layers, row.kind)(
                **{"name": f"{name}_{counts[name]}" if counts[name] else name} | dict(row.settings)
            )
            counts[name] += 1
            values.append(layer(arguments if row.kind in MERGING else arguments[0]))
            if row.weights:
                layer.set_weights(row.weights)
        return values[block.output]

    images = keras.Input(tuple(image_shape), name="images")
    return keras.Model(images, outputs(block, [images]), name=snake_case(block.name))


def settings_of(layer: tf_keras.layers.Layer) -> dict[str, Any]:
    """Arguments of the class of plain Keras that equals a built standard layer of either Keras, without defaults.

    Raises:
      ConfigurationError: plain Keras has no such layer.
    """
    import keras

    kind = getattr(keras.layers, type(layer).__name__, None)
    if kind is None or type(layer).__module__.partition(".")[0] not in ("keras", "tf_keras"):
        raise ConfigurationError(f"layer {layer.name!r} is {type(layer).__name__}, expected a standard layer of Keras")
    config = layer.get_config()
    settings = {}
    for name, parameter in inspect.signature(kind.__init__).parameters.items():
        if name in config and name != "name":
            value, default = plain_setting(config[name]), plain_setting(parameter.default)
            if value != default and not (value == "channels_last" or (name == "axis" and _is_last(value, layer))):
                settings[name] = value
    return settings


def _is_last(axis: int, layer: tf_keras.layers.Layer) -> bool:
    return layer.input_spec is not None and axis == layer.input_spec.ndim - 1


def plain_setting(value: Any) -> Any:
    """A setting as short as Keras takes it: one number for equal numbers, a name for an initialiser without numbers."""
    if isinstance(value, list | tuple) and value and all(item == value[0] for item in value):
        return value[0]
    if isinstance(value, Mapping) and not any(value["config"].values()):
        return snake_case(value["class_name"])
    if isinstance(value, Mapping):
        return {"class_name": value["class_name"], "config": dict(value["config"])}
    return None if value == "linear" else value


def snake_case(name: str) -> str:
    """The name that Keras gives to a layer of a class."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
