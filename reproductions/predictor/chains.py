"""Chains of blocks on small photographs: networks that are really trained, as labels of two more spaces.

A chain has a stem, three stages of one to three blocks at 16, 8 and 4 pixels, and a classifier; widths are random. The
space `chains` mixes plain and residual convolutions, the space `mobile_chains` has inverted bottlenecks.

References:
  He et al. 2016, "Deep Residual Learning for Image Recognition", section 3.3, and Sandler et al. 2018, "MobileNetV2:
  Inverted Residuals and Linear Bottlenecks", section 3, for the blocks.
"""

import dataclasses
import pathlib

import numpy as np
import tensorflow as tf
import tf_keras

SPACES = ("chains", "mobile_chains")
"""Names of the spaces."""

IMAGE_SIZE = 16
_STAGES = 3
_BATCH = 64
_EPOCHS = 10
_LEARNING_RATE = 0.05  # of SGD with Nesterov momentum 0.9, which falls to 0 along a cosine
_WEIGHT_DECAY = 5e-4
TRAIN_IMAGES = 5000
TRAINING = {
    "images": TRAIN_IMAGES,
    "epochs": _EPOCHS,
    "batch": _BATCH,
    "learning_rate": _LEARNING_RATE,
    "weight_decay": _WEIGHT_DECAY,
}
"""How networks are trained."""
_PREDICTED = 500  # images

layers = tf_keras.layers


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of a chain.

    Attributes:
      kind: "plain" for a convolution, "residual" for two beside a skip, "mobile" for an inverted bottleneck.
      kernel: kernel size of the convolutions, of the depthwise convolution in an inverted bottleneck.
      expansion: factor of the channels inside an inverted bottleneck; 1 in other blocks.
      width: channels of the output.
      strides: strides of the first convolution.
    """

    kind: str
    kernel: int
    expansion: int
    width: int
    strides: int


def sample(space: str, rng: np.random.Generator) -> list[Block]:
    """A random chain: the width of the stem is that of the first block."""
    blocks = []
    width = int(rng.choice([6, 8, 12, 16]))
    growth = float(rng.choice([1.0, 1.5, 2.0]))
    for stage in range(_STAGES):
        channels = round(width * growth**stage)
        for position in range(int(rng.integers(1, 4))):
            strides = 2 if stage and not position else 1
            kernel = int(rng.choice([3, 5]))
            if space == "mobile_chains":
                blocks.append(Block("mobile", kernel, int(rng.choice([1, 3, 6])), channels, strides))
            else:
                blocks.append(Block(str(rng.choice(["plain", "residual"])), kernel, 1, channels, strides))
    return blocks


def build(blocks: list[Block], num_classes: int = 10) -> tf_keras.Model:
    """The Keras model of a chain: images float32 `[B, 16, 16, 3]` to logits `[B, classes]`."""
    images = layers.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    values = layers.ReLU()(_convolution(images, blocks[0].width, 3, 1))
    for block in blocks:
        values = _BUILDERS[block.kind](values, block)
    values = layers.GlobalAveragePooling2D()(values)
    return tf_keras.Model(images, layers.Dense(num_classes)(values))


def _convolution(values: tf.Tensor, width: int, kernel: int, strides: int) -> tf.Tensor:
    convolution = layers.Conv2D(width, kernel, strides, "same", use_bias=False, kernel_initializer="he_normal")
    return layers.BatchNormalization(momentum=0.9)(convolution(values))


def _plain(values: tf.Tensor, block: Block) -> tf.Tensor:
    return layers.ReLU()(_convolution(values, block.width, block.kernel, block.strides))


def _residual(values: tf.Tensor, block: Block) -> tf.Tensor:
    inside = layers.ReLU()(_convolution(values, block.width, block.kernel, block.strides))
    inside = _convolution(inside, block.width, block.kernel, 1)
    if block.strides > 1 or values.shape[-1] != block.width:
        values = _convolution(values, block.width, 1, block.strides)
    return layers.ReLU()(layers.Add()([values, inside]))


def _mobile(values: tf.Tensor, block: Block) -> tf.Tensor:
    inside = values
    if block.expansion > 1:
        inside = layers.ReLU(6.0)(_convolution(values, block.expansion * values.shape[-1], 1, 1))
    depthwise = layers.DepthwiseConv2D(
        block.kernel, block.strides, "same", use_bias=False, depthwise_initializer="he_normal"
    )
    inside = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(depthwise(inside)))
    inside = _convolution(inside, block.width, 1, 1)
    keeps = block.strides == 1 and values.shape[-1] == block.width
    return layers.Add()([values, inside]) if keeps else inside


_BUILDERS = {"plain": _plain, "residual": _residual, "mobile": _mobile}


def photographs(path: pathlib.Path) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Images to train on and to test on, float32 `[n, 16, 16, 3]`, standardised, with their classes."""
    with np.load(path) as arrays:
        sets = [(arrays[f"x_{name}"], arrays[f"y_{name}"]) for name in ("train", "test")]
    small = [images.reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4)) for images, _ in sets]
    mean, deviation = small[0].mean(axis=(0, 1, 2)), small[0].std(axis=(0, 1, 2))
    return tuple(
        (((images - mean) / deviation).astype(np.float32), labels.astype(np.int32))
        for images, (_, labels) in zip(small, sets, strict=True)
    )


def train(model: tf_keras.Model, images: np.ndarray, labels: np.ndarray, test: tuple[np.ndarray, np.ndarray]) -> float:
    """Trains a model and returns the share of test images that it classifies correctly."""
    steps = _EPOCHS * (len(images) // _BATCH)
    schedule = tf_keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    optimizer = tf_keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=_WEIGHT_DECAY)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer.build(model.trainable_variables)
    values = tf.constant(images), tf.constant(labels)

    @tf.function(autograph=False)
    def step(rows: tf.Tensor, mirrored: tf.Tensor) -> None:
        batch = tf.gather(values[0], rows)
        batch = tf.where(mirrored[:, None, None, None], batch[:, :, ::-1], batch)
        with tf.GradientTape() as tape:
            error = loss(tf.gather(values[1], rows), model(batch, training=True))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(error, variables), variables, strict=True))

    rng = np.random.default_rng(0)
    for _ in range(_EPOCHS):
        order = rng.permutation(len(images))[: steps // _EPOCHS * _BATCH].reshape(-1, _BATCH)
        for rows in order:
            step(tf.constant(rows), tf.constant(rng.random(_BATCH) < 0.5))
    answer = tf.function(lambda batch: model(batch, training=False), autograph=False)
    right = [
        (
            answer(tf.constant(test[0][start : start + _PREDICTED])).numpy().argmax(axis=1)
            == test[1][start : start + _PREDICTED]
        ).sum()
        for start in range(0, len(test[1]), _PREDICTED)
    ]
    return float(sum(right) / len(test[1]))
