"""The encoder of colours: a table of principal directions, and a change of scale that families decide."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfnas.encoders.colour.colours import colours, num_blocks
from tfnas.encoders.colour.config import ColourEncoderConfig
from tfnas.graphs.packed import FLAT_SIGNATURE, FlatBatch, PackedGraphs, embed_packed

_LARGEST = 127  # of an int8


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """The colours that an encoder knows.

    Attributes:
      names: int64 `[C]`, ascending.
      blocks: int32 `[C]`, block of each colour.
      weights: float32 `[C]`, more than 0.
      directions: int8 `[C, K]`, principal directions over the largest number of each row.
      scales: float32 `[C]`, factors that the rows of `directions` are multiplied by.
    """

    names: np.ndarray
    blocks: np.ndarray
    weights: np.ndarray
    directions: np.ndarray
    scales: np.ndarray


def rounded(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions float `[C, K]` as int8 `[C, K]` and factors of the rows float32 `[C]`."""
    scales = np.maximum(np.abs(directions).max(axis=1), np.finfo(np.float32).tiny) / _LARGEST
    return np.rint(directions / scales[:, None]).astype(np.int8), scales.astype(np.float32)


class ColourEncoder(tf.Module):
    """Embeds computation graphs.

    A graph's colours count once each, weighed, with unit length per block. Their principal directions make up the first
    part of an embedding. The second part is the first part on a scale in which the architectures of a family lie close
    together; its share grows with the cosine to the nearest known architecture. The last number is 1 for a graph
    without a known colour, which so is at right angles to every other graph.

    Args:
      config: settings.
      table: colours, weights and directions.
      known: float32 `[N, K]` of length 1, first parts of architectures whose families are known; N = 0 for no learned
        part.
      scale: float32 `[K, K]`, the change of scale; ignored without a learned part.
    """

    def __init__(self, config: ColourEncoderConfig, table: Table, known: np.ndarray, scale: np.ndarray):
        super().__init__(name="colour_encoder")
        self.config = config
        self.learned = bool(len(known))
        self.names, self.blocks = _fixed(table.names), _fixed(table.blocks)
        self.weights = _fixed(table.weights)
        self.directions, self.scales = _fixed(table.directions), _fixed(table.scales)
        self.known = _fixed(known.astype(np.float16))
        self.scale = _fixed(scale.astype(np.float32)) if self.learned else None

    @property
    def size(self) -> int:
        """D, the length of embeddings."""
        return (2 if self.learned else 1) * self.directions.shape[1] + 1

    def embed(self, graphs: PackedGraphs) -> np.ndarray:
        """Embeddings float32 `[N, D]` of length 1 of N graphs."""
        program = tf.function(
            lambda *batch: self.encode(FlatBatch(*batch)), autograph=False, input_signature=FLAT_SIGNATURE
        )
        return embed_packed(lambda batch: program(*batch), graphs)

    def encode(self, batch: FlatBatch) -> tf.Tensor:
        """Embeddings float32 `[B, D]` of length 1 of B graphs."""
        plain = self.plain(batch)
        known = tf.reduce_sum(plain**2, axis=1, keepdims=True)  # 1 or 0
        sections = [plain]
        if self.learned:
            config = self.config
            nearest = tf.reduce_max(tf.matmul(plain, tf.cast(self.known, tf.float32), transpose_b=True), axis=1)
            height = (nearest - config.similarity_low) / (config.similarity_high - config.similarity_low)
            share = config.learned_share * tf.clip_by_value(height, 0.0, 1.0)[:, None]
            learned = tf.math.l2_normalize(tf.matmul(plain, self.scale), axis=1)
            sections = [tf.sqrt(1.0 - share) * plain, tf.sqrt(share) * learned]
        return tf.concat([*sections, tf.round(1.0 - known)], axis=1)

    def plain(self, batch: FlatBatch) -> tf.Tensor:
        """First parts float32 `[B, K]` of length 1, or 0 for a graph without a known colour."""
        blocks, graphs = num_blocks(self.config.rounds), tf.size(batch.sizes)
        coloured = colours(batch, self.config.rounds)
        names = tf.reshape(coloured.names, [-1])
        row = tf.minimum(tf.searchsorted(self.names, names), tf.size(self.names) - 1)
        listed = (tf.gather(self.names, row) == names) & tf.tile(coloured.counted, [blocks])
        owner, row = tf.tile(coloured.graph, [blocks])[listed], row[listed]
        # Each colour counts once in a graph.
        size = tf.size(self.names, tf.int64)
        pairs, _ = tf.unique(tf.cast(owner, tf.int64) * size + tf.cast(row, tf.int64))
        owner, row = tf.cast(pairs // size, tf.int32), tf.cast(pairs % size, tf.int32)
        weight = tf.gather(self.weights, row)
        section = owner * blocks + tf.gather(self.blocks, row)
        squares = tf.math.unsorted_segment_sum(weight**2, section, graphs * blocks)
        weight *= tf.gather(self.scales, row) * tf.math.rsqrt(tf.gather(squares, section))
        terms = weight[:, None] * tf.cast(tf.gather(self.directions, row), tf.float32)
        return tf.math.l2_normalize(tf.math.unsorted_segment_sum(terms, owner, graphs), axis=1)


def _fixed(values: np.ndarray) -> tf.Variable:
    return tf.Variable(values, trainable=False)
