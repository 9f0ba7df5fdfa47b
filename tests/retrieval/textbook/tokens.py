"""Networks of tokens and of time."""

import keras
from keras import layers, ops

from tests.retrieval.textbook.patches import PositionEmbedding, mlp


def embedded(tokens, words, width, length):
    x = layers.Embedding(words, width)(tokens)
    return PositionEmbedding()(x) if length else x


def gpt(depth=6, width=192, heads=6, length=128):
    tokens = keras.Input((length,), dtype="int32")
    x = layers.Dropout(0.1)(embedded(tokens, 5000, width, length))
    for _ in range(depth):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=True)
        x = x + mlp(layers.LayerNormalization(epsilon=1e-5)(x), 4 * width)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    return keras.Model(tokens, layers.Dense(5000, use_bias=False)(x))


def bert(depth=4, width=128, heads=4, length=128):
    tokens, segments = keras.Input((length,), dtype="int32"), keras.Input((length,), dtype="int32")
    x = layers.Embedding(5000, width)(tokens) + layers.Embedding(2, width)(segments)
    x = layers.LayerNormalization(epsilon=1e-12)(PositionEmbedding()(x))
    for _ in range(depth):
        y = layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dropout(0.1)(y))
        y = mlp(x, 4 * width)
        x = layers.LayerNormalization(epsilon=1e-12)(x + layers.Dropout(0.1)(y))
    return keras.Model([tokens, segments], layers.Dense(width, activation="tanh")(x[:, 0]))


class RMSNorm(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-6) * self.scale


class RotaryAttention(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.width, self.heads, self.size = width, heads, width // heads
        self.dense = [layers.Dense(width, use_bias=False) for _ in range(4)]

    def build(self, shape):
        for layer in self.dense:
            layer.build(shape)
        self.length = shape[1]

    def rotated(self, x):
        positions = ops.arange(self.length, dtype="float32")[:, None]
        angles = positions * ops.power(10000.0, -ops.arange(0, self.size, 2, dtype="float32") / self.size)
        angles = ops.concatenate([angles, angles], axis=-1)
        first, second = ops.split(x, 2, axis=-1)
        return x * ops.cos(angles) + ops.concatenate([-second, first], axis=-1) * ops.sin(angles)

    def call(self, x):
        shape = (-1, self.length, self.heads, self.size)
        q, k, v = (ops.transpose(ops.reshape(layer(x), shape), (0, 2, 1, 3)) for layer in self.dense[:3])
        scores = ops.matmul(self.rotated(q), ops.transpose(self.rotated(k), (0, 1, 3, 2))) / self.size**0.5
        scores = scores + ops.triu(ops.full((self.length, self.length), -1e9), 1)
        x = ops.matmul(ops.softmax(scores), v)
        return self.dense[3](ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, self.length, self.width)))


def llama(depth=4, width=128, heads=4, length=64):
    tokens = keras.Input((length,), dtype="int32")
    x = layers.Embedding(5000, width)(tokens)
    for _ in range(depth):
        x = x + RotaryAttention(width, heads)(RMSNorm()(x))
        y = RMSNorm()(x)
        gate = layers.Dense(344, activation="silu", use_bias=False)(y)
        x = x + layers.Dense(width, use_bias=False)(gate * layers.Dense(344, use_bias=False)(y))
    return keras.Model(tokens, layers.Dense(5000, use_bias=False)(RMSNorm()(x)))


class RelativeAttention(layers.Layer):
    """Attention of T5: no scale, and a learned bias per head and distance."""

    def __init__(self, width, heads, causal):
        super().__init__()
        self.width, self.heads, self.causal = width, heads, causal
        self.dense = [layers.Dense(width, use_bias=False) for _ in range(4)]

    def build(self, query_shape, memory_shape):
        for layer, shape in zip(self.dense, (query_shape, memory_shape, memory_shape, query_shape), strict=True):
            layer.build(shape)
        self.bias = self.add_weight(shape=(self.heads, query_shape[1], memory_shape[1]), initializer="zeros")

    def call(self, query, memory):
        q, k, v = (
            ops.transpose(ops.reshape(layer(x), (-1, x.shape[1], self.heads, self.width // self.heads)), (0, 2, 1, 3))
            for layer, x in zip(self.dense, (query, memory, memory), strict=False)
        )
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) + self.bias
        if self.causal:
            scores = scores + ops.triu(ops.full(scores.shape[-2:], -1e9), 1)
        x = ops.transpose(ops.matmul(ops.softmax(scores), v), (0, 2, 1, 3))
        return self.dense[3](ops.reshape(x, (-1, query.shape[1], self.width)))


def t5(depth=3, width=128, heads=4, length=64):
    source, target = keras.Input((length,), dtype="int32"), keras.Input((length,), dtype="int32")
    words = layers.Embedding(5000, width)

    def feed(x):
        y = layers.Dense(4 * width, activation="relu", use_bias=False)(RMSNorm()(x))
        return x + layers.Dense(width, use_bias=False)(y)

    memory = words(source)
    for _ in range(depth):
        y = RMSNorm()(memory)
        memory = feed(memory + RelativeAttention(width, heads, False)(y, y))
    memory = RMSNorm()(memory)
    x = words(target)
    for _ in range(depth):
        y = RMSNorm()(x)
        x = x + RelativeAttention(width, heads, True)(y, y)
        x = feed(x + RelativeAttention(width, heads, False)(RMSNorm()(x), memory))
    return keras.Model([source, target], layers.Dense(5000, use_bias=False)(RMSNorm()(x)))


def transformer(depth=3, width=128, heads=4, length=64):
    """The encoder and the decoder of Vaswani et al. 2017."""
    source, target = keras.Input((length,), dtype="int32"), keras.Input((length,), dtype="int32")

    def attend(x, memory, **options):
        y = layers.MultiHeadAttention(heads, width // heads)(x, memory, **options)
        return layers.LayerNormalization()(x + y)

    def feed(x):
        return layers.LayerNormalization()(x + mlp(x, 4 * width, "relu"))

    memory, x = embedded(source, 5000, width, length), embedded(target, 5000, width, length)
    for _ in range(depth):
        memory = feed(attend(memory, memory))
    for _ in range(depth):
        x = attend(x, x, use_causal_mask=True)
        x = feed(attend(x, memory))
    return keras.Model([source, target], layers.Dense(5000, activation="softmax")(x))


def lstm():
    tokens = keras.Input((100,), dtype="int32")
    x = layers.Embedding(5000, 64)(tokens)
    x = layers.Bidirectional(layers.LSTM(64, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(64))(x)
    x = layers.Dropout(0.5)(layers.Dense(64, activation="relu")(x))
    return keras.Model(tokens, layers.Dense(1, activation="sigmoid")(x))


def tcn():
    inputs = x = keras.Input((400, 8))
    for number in range(6):
        y = x
        for _ in range(2):
            y = layers.Conv1D(32, 3, padding="causal", dilation_rate=2**number)(y)
            y = layers.Dropout(0.1)(layers.ReLU()(layers.LayerNormalization()(y)))
        x = layers.Conv1D(32, 1)(x) if x.shape[-1] != 32 else x
        x = layers.ReLU()(layers.Add()([x, y]))
    return keras.Model(inputs, layers.Dense(1)(x[:, -1]))


def wavenet():
    inputs = keras.Input((1024, 1))
    x = layers.Conv1D(32, 2, padding="causal")(inputs)
    skips = []
    for number in range(10):
        gate = layers.Conv1D(32, 2, padding="causal", dilation_rate=2**number, activation="sigmoid")(x)
        y = layers.Conv1D(32, 2, padding="causal", dilation_rate=2**number, activation="tanh")(x)
        y = layers.Multiply()([gate, y])
        skips.append(layers.Conv1D(64, 1)(y))
        x = layers.Add()([x, layers.Conv1D(32, 1)(y)])
    x = layers.ReLU()(layers.Add()(skips))
    x = layers.Conv1D(256, 1, activation="softmax")(layers.Conv1D(64, 1, activation="relu")(x))
    return keras.Model(inputs, x)
