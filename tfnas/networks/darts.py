"""The networks around DARTS cells, for 32-pixel images and for ImageNet, as arch2vec and DARTS evaluate cells.

References:
  Liu et al. 2019, "DARTS: Differentiable Architecture Search", section 3.2 and appendix A.
  Yan et al. 2020 (arch2vec), section 4.2 and figure 10.
"""

import contextlib
import dataclasses
import functools

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.networks.functional import Blueprint, Classifier, Value, plain_setting
from tfnas.networks.layers import LayerSettings
from tfnas.spaces import Architecture, CellTable, Darts, NASBench301
from tfnas.spaces.darts import CELL_OPERATIONS, INPUTS, NUM_BLOCKS

_SPACE = Darts()


@dataclasses.dataclass(frozen=True)
class DartsSkeleton:
    """The part of the network that is the same for all cells.

    Attributes:
      num_classes: width of the classifier.
      channels: C, width of the operations of the first cells; every reduction doubles it.
      layers: cells; those at a third and two thirds of the depth are reduction cells.
      large_images: a stem of three strided convolutions, which makes images eight times smaller (ImageNet), instead of
        one that keeps their size.
      auxiliary: a second classifier at two thirds of the depth, for training only.
    """

    num_classes: int = 10
    channels: int = 36
    layers: int = 20
    large_images: bool = False
    auxiliary: bool = True

    def __post_init__(self) -> None:
        if self.layers < 3 or self.channels < 2 or self.channels % 2 or self.num_classes < 1:
            raise ConfigurationError(f"{self}, expected at least 3 layers, 1 class and an even number of channels")

    @property
    def reductions(self) -> tuple[int, int]:
        """Positions of the reduction cells."""
        return self.layers // 3, 2 * self.layers // 3


CIFAR10 = DartsSkeleton()
IMAGENET = DartsSkeleton(num_classes=1000, channels=48, layers=14, large_images=True)
NASBENCH301 = DartsSkeleton(channels=32, layers=8)
"""The proxy network that NAS-Bench-301's surrogates are fitted to."""

Genotype = tuple[tuple[str, int], ...]
"""Eight pairs of operation and state, two for each block."""

ARCH2VEC_BO: Genotype = (
    ("sep_conv_5x5", 1),
    ("max_pool_3x3", 0),
    ("skip_connect", 0),
    ("dil_conv_3x3", 1),
    ("sep_conv_5x5", 1),
    ("sep_conv_3x3", 0),
    ("dil_conv_5x5", 2),
    ("sep_conv_3x3", 0),
)
ARCH2VEC_RL: Genotype = (
    ("sep_conv_3x3", 0),
    ("dil_conv_3x3", 1),
    ("max_pool_3x3", 0),
    ("dil_conv_3x3", 1),
    ("skip_connect", 0),
    ("sep_conv_3x3", 1),
    ("dil_conv_5x5", 1),
    ("sep_conv_3x3", 0),
)
GENOTYPES = {"arch2vec_bo": ARCH2VEC_BO, "arch2vec_rl": ARCH2VEC_RL}
"""The cells of arch2vec's figure 10, each both normal and reduction cell."""


def cell(genotype: Genotype) -> Architecture:
    """The DARTS cell of a genotype.

    Raises:
      InvalidArchitectureError: it breaks a rule of the space.
    """
    return _SPACE.from_genotype([name for name, _ in genotype], [state for _, state in genotype])


def read_cell(text: str) -> Architecture:
    """A DARTS cell, or a NAS-Bench-301 pair, from text.

    Args:
      text: name in `GENOTYPES`, `operation:state` eight times, separated by commas, or a genotype of DARTS or NASLib.

    Raises:
      InvalidArchitectureError: the text is no cell and no pair of cells.
    """
    if text in GENOTYPES:
        return cell(GENOTYPES[text])
    pairs = [pair.partition(":") for pair in text.replace(" ", "").split(",")]
    if len(pairs) == 2 * NUM_BLOCKS and all(state.isdigit() for _, _, state in pairs):
        return cell(tuple((name, int(state)) for name, _, state in pairs))
    with contextlib.suppress(InvalidArchitectureError):
        return _SPACE.read(text)
    try:
        return NASBench301().read(text)
    except InvalidArchitectureError as error:
        names = ", ".join(GENOTYPES)
        raise InvalidArchitectureError(f"{error}; or a name ({names}), or eight of the form sep_conv_3x3:0") from error


def cell_pair(architecture: Architecture) -> list[Architecture]:
    """Normal and reduction cell of a DARTS cell, which is both, or of a NAS-Bench-301 pair.

    Raises:
      InvalidArchitectureError: it is neither.
    """
    if architecture.num_vertices == Darts.max_vertices:
        _SPACE.require_valid(architecture)
        return [architecture, architecture]
    NASBench301().require_valid(architecture)
    return NASBench301().cells(architecture)


class DartsNetwork(Classifier):
    """Classifier of images out of normal and reduction cells.

    Args:
      skeleton: the part that does not depend on the cell.
      architecture: a DARTS cell, which then is both, or a NAS-Bench-301 pair of cells.
      settings: initialisation and normalisation.

    Attributes:
      drop_path: probability that training drops the output of an operation; a variable, because it grows with time.
      drop_seed: int32 `[2]`, decides what is dropped; set it anew for every update.

    Raises:
      InvalidArchitectureError: the architecture is neither.
    """

    def __init__(
        self,
        skeleton: DartsSkeleton,
        architecture: Architecture,
        settings: LayerSettings = LayerSettings(),  # noqa: B008 (frozen)
    ):
        super().__init__()
        normal, reduction = cell_pair(architecture)
        self.skeleton = skeleton
        self.drop_path = tf.Variable(0.0, trainable=False, name="drop_path")
        self.drop_seed = tf.Variable([0, 0], dtype=tf.int32, trainable=False, name="drop_seed")
        channels = skeleton.channels
        if skeleton.large_images:
            self.stems = [
                [
                    settings.convolution2d(channels // 2, 3, 2),
                    settings.batch_norm(),
                    settings.convolution2d(channels, 3, 2),
                    settings.batch_norm(),
                ],
                [settings.convolution2d(channels, 3, 2), settings.batch_norm()],
            ]
        else:
            self.stems = [[settings.convolution2d(3 * channels, 3), settings.batch_norm()]]
        self.cells = []
        after_reduction = skeleton.large_images
        for layer in range(skeleton.layers):
            reduces = layer in skeleton.reductions
            channels *= 2 if reduces else 1
            self.cells.append(_Cell(channels, reduction if reduces else normal, reduces, after_reduction, settings))
            after_reduction = reduces
        self.auxiliary = _AuxiliaryHead(skeleton, settings) if skeleton.auxiliary else None
        self.pool = tf_keras.layers.GlobalAveragePooling2D()
        self.classifier = settings.dense(skeleton.num_classes)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits float32 `[B, classes]` of images float32 `[B, height, width, channels]`."""
        return self.with_auxiliary(images, training)[0]

    def with_auxiliary(self, images: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor | None]:
        """The logits, and those of the auxiliary classifier if there is one."""
        if self.skeleton.large_images:
            first, norm, second, second_norm = self.stems[0]
            before = second_norm(second(tf.nn.relu(norm(first(images), training=training))), training=training)
            convolution, norm = self.stems[1]
            now = norm(convolution(tf.nn.relu(before)), training=training)
        else:
            convolution, norm = self.stems[0]
            before = now = norm(convolution(images), training=training)
        extra = None
        for layer, one_cell in enumerate(self.cells):
            seed = tf.random.experimental.stateless_fold_in(self.drop_seed, layer)
            before, now = now, one_cell(before, now, self.drop_path, seed, training=training)
            if layer == self.skeleton.reductions[1] and self.auxiliary is not None:
                extra = self.auxiliary(now, training=training)
        return self.classifier(self.pool(now)), extra

    def describe(self, blueprint: Blueprint, images: Value) -> Value:
        if self.skeleton.large_images:
            (first, norm, second, second_norm), (convolution, last_norm) = self.stems
            before = blueprint.chain(images, first, norm, "ReLU", second, second_norm)
            now = blueprint.chain(before, "ReLU", convolution, last_norm)
        else:
            before = now = blueprint.chain(images, *self.stems[0])
        for layer, one_cell in enumerate(self.cells):
            name = "reduction_cell" if layer in self.skeleton.reductions else "normal_cell"
            before, now = now, blueprint.inner(name, one_cell.describe, before, now)
        return blueprint.classifier(self.classifier, now, self.pool)

    @tf.function(autograph=False, reduce_retracing=True)
    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """Logits float32 `[B, classes]` in inference mode, by a compiled program."""
        return self.call(images)


def build(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> DartsNetwork:
    """The network of a DARTS cell for CIFAR-10, without its auxiliary classifier; see `networks.registry.Network`."""
    return DartsNetwork(dataclasses.replace(CIFAR10, num_classes=num_classes, auxiliary=False), architecture)


def build_pair(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> DartsNetwork:
    """NAS-Bench-301's network of a pair of cells; see `networks.registry.Network`."""
    return DartsNetwork(dataclasses.replace(NASBENCH301, num_classes=num_classes), architecture)


class _Cell(tf_keras.layers.Layer):
    def __init__(
        self, channels: int, architecture: Architecture, reduces: bool, after_reduction: bool, settings: LayerSettings
    ):
        super().__init__()
        operations, self.states = _SPACE.to_genotype(architecture)
        # The older input still has the size from before the reduction.
        self.first = _Halving(channels, settings) if after_reduction else _Projection(channels, settings)
        self.second = _Projection(channels, settings)
        self.operations = [
            _operation(name, channels, 2 if reduces and state < len(INPUTS) else 1, settings)
            for name, state in zip(operations, self.states, strict=True)
        ]

    def call(
        self, before: tf.Tensor, now: tf.Tensor, drop_path: tf.Tensor, seed: tf.Tensor, training: bool
    ) -> tf.Tensor:
        states = [self.first(before, training=training), self.second(now, training=training)]
        for block in range(NUM_BLOCKS):
            total = 0.0
            for slot in (2 * block, 2 * block + 1):
                operation = self.operations[slot]
                value = operation(states[self.states[slot]], training=training)
                if training and not isinstance(operation, _Identity):
                    value = _drop(value, drop_path, tf.random.experimental.stateless_fold_in(seed, slot))
                total += value
            states.append(total)
        return tf.concat(states[len(INPUTS) :], axis=-1)

    def describe(self, blueprint: Blueprint, before: Value, now: Value) -> Value:
        states = [self.first.describe(blueprint, before), self.second.describe(blueprint, now)]
        slots = list(zip(self.operations, self.states, strict=True))
        for block in range(NUM_BLOCKS):
            pair = slots[2 * block : 2 * block + 2]
            # An operation that gives zeros vanishes, unless both do.
            pair = [slot for slot in pair if not isinstance(slot[0], _Zero)] or pair[:1]
            states.append(blueprint.total([operation.describe(blueprint, states[state]) for operation, state in pair]))
        return blueprint.layer("Concatenate", *states[len(INPUTS) :])


def _drop(value: tf.Tensor, probability: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Zeroes `value` for some images of the batch, and makes up for it in the others."""
    survives = tf.random.stateless_uniform([tf.shape(value)[0], 1, 1, 1], seed) >= probability
    return value * tf.cast(survives, value.dtype) / (1.0 - probability)


def _operation(name: str, channels: int, strides: int, settings: LayerSettings) -> tf_keras.layers.Layer:
    if name == "none":
        return _Zero(strides)
    if name == "skip_connect":
        return _Identity() if strides == 1 else _Halving(channels, settings)
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        return _Pool(name == "max_pool_3x3", strides)
    size = int(name[-1])
    repeats, dilation = (2, 1) if name.startswith("sep") else (1, 2)
    return _Separable(channels, size, strides, repeats, dilation, settings)


class _Identity(tf_keras.layers.Layer):
    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.identity(inputs)

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        return inputs


class _Zero(tf_keras.layers.Layer):
    def __init__(self, strides: int):
        super().__init__()
        self.strides = strides

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.zeros_like(inputs[:, :: self.strides, :: self.strides])

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        return blueprint.zeros(inputs if self.strides == 1 else blueprint.every_second(inputs))


class _Pool(tf_keras.layers.Layer):
    """3 x 3; averages count no padding."""

    def __init__(self, maximum: bool, strides: int):
        super().__init__()
        self.strides = strides
        self.pool = (tf_keras.layers.MaxPooling2D if maximum else tf_keras.layers.AveragePooling2D)(3, 1, "same")

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        return self.pool(inputs)[:, :: self.strides, :: self.strides]

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        value = blueprint.copy(self.pool, inputs)
        return value if self.strides == 1 else blueprint.every_second(value)


class _Projection(tf_keras.layers.Layer):
    """ReLU, 1 x 1 convolution, norm."""

    def __init__(self, channels: int, settings: LayerSettings):
        super().__init__()
        self.convolution, self.norm = settings.convolution2d(channels, 1), settings.batch_norm()

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        return self.norm(self.convolution(tf.nn.relu(inputs)), training=training)

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        return blueprint.inner_chain("relu_conv_norm", inputs, "ReLU", self.convolution, self.norm)


class _Halving(tf_keras.layers.Layer):
    """Half the size: two 1 x 1 convolutions with stride 2, one shifted by a pixel, give half of the channels each."""

    def __init__(self, channels: int, settings: LayerSettings):
        super().__init__()
        self.even, self.odd, self.norm = (
            settings.convolution2d(channels // 2, 1, 2),
            settings.convolution2d(channels // 2, 1, 2),
            settings.batch_norm(),
        )

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        rectified = tf.nn.relu(inputs)
        shifted = tf.pad(rectified[:, 1:, 1:], [[0, 0], [0, 1], [0, 1], [0, 0]])
        return self.norm(tf.concat([self.even(rectified), self.odd(shifted)], axis=-1), training=training)

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        return blueprint.inner("halving", self._describe_halving, inputs)

    def _describe_halving(self, blueprint: Blueprint, inputs: Value) -> Value:
        rectified = blueprint.layer("ReLU", inputs)
        shifted = blueprint.layer("Cropping2D", rectified, cropping=((1, 0), (1, 0)))
        shifted = blueprint.layer("ZeroPadding2D", shifted, padding=((0, 1), (0, 1)))
        halves = [blueprint.copy(self.even, rectified), blueprint.copy(self.odd, shifted)]
        return blueprint.copy(self.norm, blueprint.layer("Concatenate", *halves))


class _Separable(tf_keras.layers.Layer):
    """ReLU, depthwise convolution, 1 x 1 convolution, norm; `repeats` times, the strides in the first."""

    def __init__(self, channels: int, size: int, strides: int, repeats: int, dilation: int, settings: LayerSettings):
        super().__init__()
        self.steps = []
        for step in range(repeats):
            depthwise = _Depthwise(size, strides if step == 0 else 1, dilation, settings)
            self.steps.append([depthwise, settings.convolution2d(channels, 1), settings.batch_norm()])

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        for depthwise, pointwise, norm in self.steps:
            inputs = norm(pointwise(depthwise(tf.nn.relu(inputs))), training=training)
        return inputs

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        for depthwise, pointwise, norm in self.steps:
            name = "relu_separable_norm" if depthwise.strides == 1 else "relu_separable_norm_strided"
            inputs = blueprint.inner(name, functools.partial(_describe_step, depthwise, pointwise, norm), inputs)
        return inputs


def _describe_step(
    depthwise: "_Depthwise",
    pointwise: tf_keras.layers.Conv2D,
    norm: tf_keras.layers.BatchNormalization,
    blueprint: Blueprint,
    inputs: Value,
) -> Value:
    return blueprint.chain(depthwise.describe(blueprint, blueprint.layer("ReLU", inputs)), pointwise, norm)


class _Depthwise(tf_keras.layers.Layer):
    """Depthwise convolution. Strides take every second pixel, counted from the first, as PyTorch's padding does."""

    def __init__(self, size: int, strides: int, dilation: int, settings: LayerSettings):
        super().__init__()
        self.initializer = settings.depthwise_initializer(size)
        self.size, self.strides, self.dilation = size, strides, dilation

    def build(self, input_shape: tf.TensorShape) -> None:
        shape = (self.size, self.size, input_shape[-1], 1)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.initializer)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = tf.nn.depthwise_conv2d(inputs, self.kernel, [1] * 4, "SAME", dilations=[self.dilation] * 2)
        return outputs[:, :: self.strides, :: self.strides]

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        settings = {"kernel_size": self.size, "dilation_rate": self.dilation, "padding": "same", "use_bias": False}
        settings["depthwise_initializer"] = plain_setting(
            tf_keras.initializers.serialize(tf_keras.initializers.get(self.initializer))
        )
        value = blueprint.layer("DepthwiseConv2D", inputs, weights=self.get_weights(), **settings)
        return value if self.strides == 1 else blueprint.every_second(value)


class _AuxiliaryHead(tf_keras.layers.Layer):
    def __init__(self, skeleton: DartsSkeleton, settings: LayerSettings):
        super().__init__()
        self.pool = tf_keras.layers.AveragePooling2D(5, 2 if skeleton.large_images else 3, "valid")
        self.first, self.first_norm = settings.convolution2d(128, 1), settings.batch_norm()
        self.second = settings.convolution2d(768, 2, padding="valid")
        self.second_norm = None if skeleton.large_images else settings.batch_norm()
        self.classifier = settings.dense(skeleton.num_classes)

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        if min(inputs.shape[1:3]) < 8:
            raise ConfigurationError(
                f"the auxiliary classifier sees {inputs.shape[1]} x {inputs.shape[2]} pixels, expected at least 8; "
                "use larger images or none"
            )
        features = self.first_norm(self.first(self.pool(tf.nn.relu(inputs))), training=training)
        features = self.second(tf.nn.relu(features))
        if self.second_norm is not None:
            features = self.second_norm(features, training=training)
        return self.classifier(tf.reshape(tf.nn.relu(features), [-1, np.prod(features.shape[1:])]))


def work(skeleton: DartsSkeleton, cells: CellTable, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Size of the networks of some DARTS cells, without building them and without the auxiliary classifier.

    Args:
      skeleton: the network around the cells.
      cells: N DARTS cells, each both normal and reduction cell.
      image_size: height and width of the images, which have three channels.

    Returns:
      Trainable parameters int64 `[N]`, and multiply-adds of convolutions and classifier for one image int64 `[N]`.
    """
    codes = cells.operations[:, len(INPUTS) : -1].astype(np.int64) - len(INPUTS)
    reads_input = cells.adjacency[:, : len(INPUTS), len(INPUTS) : -1].any(axis=1)
    count = np.stack(
        [((codes == code) & (reads_input == read)).sum(axis=1) for read in (False, True) for code in range(8)]
    )
    channels, size = skeleton.channels, image_size
    if skeleton.large_images:
        kernels = (27 * channels // 2, 9 * channels**2 // 2, 9 * channels**2)
        parameters = sum(kernels) + 2 * (channels // 2 + 2 * channels)
        operations = sum(kernel * (size // shrink) ** 2 for kernel, shrink in zip(kernels, (2, 4, 8), strict=True))
        size //= 8
        before = now = channels
    else:
        before = now = 3 * channels
        parameters, operations = 27 * now + 2 * now, 27 * now * size**2
    per_slot = np.zeros((2, 16), np.int64)
    for layer in range(skeleton.layers):
        reduces = layer in skeleton.reductions
        channels *= 2 if reduces else 1
        kernels = (before + now) * channels
        parameters += kernels + 4 * channels
        operations += kernels * size**2  # the older input, if larger, is halved by its projection
        outputs = (size // 2 if reduces else size) ** 2
        for read in (False, True):
            for code, name in enumerate(CELL_OPERATIONS):
                weights, norms = _operation_work(name, channels, reduces and read)
                per_slot[:, 8 * read + code] += (weights + norms, weights * outputs)
        size = size // 2 if reduces else size
        before, now = now, NUM_BLOCKS * channels
    classifier = now * skeleton.num_classes
    totals = per_slot @ count + np.array([[parameters + classifier + skeleton.num_classes], [operations + classifier]])
    return totals[0], totals[1]


def _operation_work(name: str, channels: int, strided: bool) -> tuple[int, int]:
    """Weights of the convolutions of an operation, all applied at its output's size, and of its norms."""
    if name == "skip_connect" and strided:
        return channels**2, 2 * channels
    if "conv" not in name:
        return 0, 0
    repeats = 2 if name.startswith("sep") else 1
    return repeats * (int(name[-1]) ** 2 * channels + channels**2), repeats * 2 * channels
