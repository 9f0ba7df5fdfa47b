"""Networks that cut an image into patches, and a network that gives an image back."""

import keras
from keras import layers, ops

from tests.retrieval.textbook.residual import IMAGE, classified


def patches_of(inputs, size, width):
    x = layers.Conv2D(width, size, size)(inputs)
    return layers.Reshape((-1, width))(x)


def mlp(x, units, activation="gelu"):
    return layers.Dense(x.shape[-1])(layers.Dense(units, activation=activation)(x))


class PositionEmbedding(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(1, shape[1], shape[2]), initializer="random_normal")

    def call(self, x):
        return x + self.table


class ClassToken(layers.Layer):
    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[2]), initializer="zeros")

    def call(self, x):
        return ops.concatenate([ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[2])), x], axis=1)


def vit_tiny(depth=12, width=192, heads=3):
    inputs = keras.Input(IMAGE)
    x = PositionEmbedding()(ClassToken()(patches_of(inputs, 16, width)))
    for _ in range(depth):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + layers.MultiHeadAttention(heads, width // heads)(y, y)
        x = x + mlp(layers.LayerNormalization(epsilon=1e-6)(x), 4 * width)
    x = layers.LayerNormalization(epsilon=1e-6)(x)[:, 0]
    return keras.Model(inputs, layers.Dense(1000)(x))


def mlp_mixer(depth=8, width=256):
    inputs = keras.Input(IMAGE)
    x = patches_of(inputs, 16, width)
    for _ in range(depth):
        y = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Permute((2, 1))(mlp(y, 128))])
        x = layers.Add()([x, mlp(layers.LayerNormalization()(x), 1024)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(1000)(x))


def gmlp(depth=10, width=128):
    inputs = keras.Input(IMAGE)
    x = patches_of(inputs, 16, width)
    for _ in range(depth):
        y = layers.Dense(6 * width, activation="gelu")(layers.LayerNormalization()(x))
        u, v = ops.split(y, 2, axis=-1)
        v = layers.Permute((2, 1))(layers.LayerNormalization()(v))
        v = layers.Permute((2, 1))(layers.Dense(v.shape[-1], bias_initializer="ones")(v))
        x = x + layers.Dense(width)(u * v)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(1000)(x))


def convmixer(depth=8, width=256):
    def activated(x):
        return layers.BatchNormalization()(layers.Activation("gelu")(x))

    inputs = keras.Input(IMAGE)
    x = activated(layers.Conv2D(width, 7, 7)(inputs))
    for _ in range(depth):
        y = activated(layers.DepthwiseConv2D(9, padding="same")(x))
        x = activated(layers.Conv2D(width, 1)(layers.Add()([x, y])))
    return classified(inputs, x)


class LayerScale(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(1e-6))

    def call(self, x):
        return x * self.gamma


def convnext_tiny():
    inputs = keras.Input(IMAGE)
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(96, 4, 4)(inputs))
    for stage, (width, depth) in enumerate(((96, 3), (192, 3), (384, 9), (768, 3))):
        if stage:
            x = layers.Conv2D(width, 2, 2)(layers.LayerNormalization(epsilon=1e-6)(x))
        for _ in range(depth):
            y = layers.DepthwiseConv2D(7, padding="same")(x)
            y = mlp_of(layers.LayerNormalization(epsilon=1e-6)(y), 4 * width, width)
            x = layers.Add()([x, LayerScale()(y)])
    x = layers.LayerNormalization(epsilon=1e-6)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(1000)(x))


def mlp_of(x, hidden, units):
    return layers.Dense(units)(layers.Activation("gelu")(layers.Dense(hidden)(x)))


def poolformer():
    inputs = x = keras.Input(IMAGE)
    for stage, (width, depth) in enumerate(((64, 2), (128, 2), (320, 6), (512, 2))):
        x = layers.Conv2D(width, 3 if stage else 7, 2 if stage else 4, "same")(x)
        for _ in range(depth):
            y = layers.GroupNormalization(1)(x)
            y = layers.Subtract()([layers.AveragePooling2D(3, 1, "same")(y), y])
            x = layers.Add()([x, LayerScale()(y)])
            y = layers.Conv2D(4 * width, 1, activation="gelu")(layers.GroupNormalization(1)(x))
            x = layers.Add()([x, LayerScale()(layers.Conv2D(width, 1)(y))])
    return classified(inputs, layers.GroupNormalization(1)(x))


class WindowAttention(layers.Layer):
    """Attention inside windows of 7 x 7, with a table of relative positions."""

    def __init__(self, width, heads):
        super().__init__()
        self.width, self.heads = width, heads
        self.qkv, self.project = layers.Dense(3 * width), layers.Dense(width)

    def build(self, shape):
        self.qkv.build(shape)
        self.project.build(shape)
        self.bias = self.add_weight(shape=(self.heads, 49, 49), initializer="zeros")

    def call(self, x):
        qkv = ops.reshape(self.qkv(x), (-1, 49, 3, self.heads, self.width // self.heads))
        q, k, v = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), 3)
        scores = ops.matmul(q * (self.width // self.heads) ** -0.5, ops.transpose(k, (0, 1, 3, 2))) + self.bias
        x = ops.matmul(ops.softmax(scores), v)
        return self.project(ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, 49, self.width)))


def swin_tiny():
    def windows(x, size, width):
        x = ops.reshape(x, (-1, size // 7, 7, size // 7, 7, width))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 49, width))

    def joined(x, size, width):
        x = ops.reshape(x, (-1, size // 7, size // 7, 7, 7, width))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, size, size, width))

    inputs = keras.Input(IMAGE)
    size, width = 56, 96
    x = layers.LayerNormalization()(layers.Conv2D(width, 4, 4)(inputs))
    for stage, depth in enumerate((2, 2, 6, 2)):
        if stage:
            quarters = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
            x = layers.LayerNormalization()(ops.concatenate(quarters, axis=-1))
            size, width = size // 2, width * 2
            x = layers.Dense(width, use_bias=False)(x)
        for number in range(depth):
            shift = 3 if number % 2 and size > 7 else 0
            y = layers.LayerNormalization()(x)
            y = ops.roll(y, (-shift, -shift), (1, 2)) if shift else y
            y = WindowAttention(width, width // 32)(windows(y, size, width))
            y = joined(y, size, width)
            y = ops.roll(y, (shift, shift), (1, 2)) if shift else y
            x = x + y
            x = x + mlp_of(layers.LayerNormalization()(x), 4 * width, width)
    x = ops.mean(layers.LayerNormalization()(x), axis=(1, 2))
    return keras.Model(inputs, layers.Dense(1000)(x))


def unet():
    def double(x, filters):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        return layers.Conv2D(filters, 3, padding="same", activation="relu")(x)

    inputs = x = keras.Input((256, 256, 1))
    skips = []
    for filters in (32, 64, 128, 256):
        x = double(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = double(x, 512)
    for skip in reversed(skips):
        x = layers.Conv2DTranspose(skip.shape[-1], 2, 2)(x)
        x = double(layers.Concatenate()([skip, x]), skip.shape[-1])
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))
