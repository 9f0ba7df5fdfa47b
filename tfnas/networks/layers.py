"""Building blocks that networks of several spaces share, with PyTorch's batch-norm settings."""

import tensorflow as tf


def batch_norm() -> tf.keras.layers.BatchNormalization:
    """Batch normalisation with PyTorch's momentum and epsilon."""
    return tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)


def convolution2d(channels: int, size: int, strides: int = 1) -> tf.keras.layers.Conv2D:
    """A convolution without bias that keeps the size of the image, but for its strides."""
    return tf.keras.layers.Conv2D(
        channels, size, strides, padding="same", use_bias=False, kernel_initializer="he_normal"
    )
