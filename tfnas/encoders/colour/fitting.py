"""How an encoder of colours is computed from graphs, in closed form.

References:
  Spärck Jones 1972, "A statistical interpretation of term specificity and its application in retrieval".
  Deerwester et al. 1990, "Indexing by Latent Semantic Analysis" (principal directions without centring).
  Hatch, Kajarekar and Stolcke 2006, "Within-class covariance normalization for SVM-based speaker recognition".
"""

import dataclasses

import numpy as np
import scipy.linalg
import scipy.sparse
import tensorflow as tf

from tfnas.encoders.colour.colours import colours
from tfnas.encoders.colour.config import ColourEncoderConfig
from tfnas.encoders.colour.model import ColourEncoder, Table, rounded
from tfnas.errors import ConfigurationError
from tfnas.graphs.packed import FLAT_SIGNATURE, FlatBatch, PackedGraphs, chunks

_MOST_GRAPHS = 4000
"""Graphs that directions and scale are computed from, and known architectures, at most; a sample of more graphs."""

_SMALLEST = 1e-8  # share of the largest eigenvalue below which a direction is noise


@dataclasses.dataclass(frozen=True, eq=False)
class Occurrences:
    """The colours of N graphs.

    Attributes:
      matrix: float `[N, C]`, 1 where a colour occurs in a graph.
      names: int64 `[C]`, ascending.
      blocks: int32 `[C]`.
    """

    matrix: scipy.sparse.csr_array
    names: np.ndarray
    blocks: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Occurrences":
        """The colours of some graphs."""
        return Occurrences(self.matrix[rows], self.names, self.blocks)


def occurrences(graphs: PackedGraphs, rounds: int) -> Occurrences:
    """The colours that occur in N graphs; see `colours.colours`."""
    program = tf.function(
        lambda *batch: colours(FlatBatch(*batch), rounds), autograph=False, input_signature=FLAT_SIGNATURE
    )
    owners, names, blocks = [], [], []
    for rows in chunks(graphs.num_nodes):
        occurring = program(*graphs[np.arange(len(graphs))[rows]].flat_batch())
        counted = occurring.counted.numpy()
        owner = occurring.graph.numpy()[counted] + rows.start
        for block, column in enumerate(occurring.names.numpy()):
            pairs = np.unique(np.stack([owner, column[counted]]), axis=1)
            owners.append(pairs[0])
            names.append(pairs[1])
            blocks.append(np.full(pairs.shape[1], block, np.int32))
    every, first, column = np.unique(np.concatenate(names), return_index=True, return_inverse=True)
    entries = (np.ones(len(column)), (np.concatenate(owners), column.ravel()))
    matrix = scipy.sparse.csr_array(entries, shape=(len(graphs), len(every)))
    return Occurrences(matrix, every, np.concatenate(blocks)[first])


def fit(config: ColourEncoderConfig, occurring: Occurrences, family: np.ndarray, seed: int) -> ColourEncoder:
    """The encoder of N graphs.

    Args:
      config: settings.
      occurring: colours of the graphs.
      family: int `[N]`, families of the graphs, -1 where a family is not known. The learned part needs a family of two
        graphs; without one the encoder has no learned part.
      seed: seed of the sample of graphs, of which more than 4,000 are given.

    Raises:
      ConfigurationError: no colour occurs in `least_graphs` graphs.
    """
    count = occurring.matrix.shape[0]
    vectors, columns, weights = weighed(config, occurring, np.arange(count))
    rows = _sample(np.arange(count), seed)
    directions, scales = rounded(_directions(vectors[rows], config.embedding_dim))
    table = Table(occurring.names[columns], occurring.blocks[columns], weights.astype(np.float32), directions, scales)
    labelled = _sample(np.flatnonzero(family >= 0), seed + 1)
    plain = _unit(vectors[labelled] @ (directions * scales[:, None]))
    learned = config.learned_share > 0 and bool((np.bincount(family[labelled]) > 1).any())
    if not learned:
        return ColourEncoder(config, table, np.zeros((0, directions.shape[1])), np.zeros((0, 0)))
    return ColourEncoder(config, table, plain, _scale(plain, family[labelled], config.shrinkage))


def weighed(
    config: ColourEncoderConfig, occurring: Occurrences, rows: np.ndarray
) -> tuple[scipy.sparse.csr_array, np.ndarray, np.ndarray]:
    """The colours of N graphs by tf-idf.

    Args:
      config: settings.
      occurring: colours of the graphs.
      rows: int `[n]`, graphs that weights are computed from.

    Returns:
      Float `[N, C]`, weights of the colours of each graph with length 1 in every block; int `[C]`, colours that occur
      often enough; float `[C]`, weights of the colours.

    Raises:
      ConfigurationError: no colour occurs in `least_graphs` graphs.
    """
    frequency = occurring.matrix[rows].sum(axis=0)
    columns = np.flatnonzero(frequency >= config.least_graphs)
    if not len(columns):
        raise ConfigurationError(f"{len(rows)} graphs: no neighbourhood occurs in {config.least_graphs} of them")
    weights = (1.0 + np.log((1 + len(rows)) / (1 + frequency[columns]))) ** config.frequency_power
    return _unit_blocks((occurring.matrix[:, columns] * weights).tocsr(), occurring.blocks[columns]), columns, weights


def _sample(rows: np.ndarray, seed: int) -> np.ndarray:
    if len(rows) <= _MOST_GRAPHS:
        return rows
    return np.sort(np.random.default_rng(seed).permutation(rows)[:_MOST_GRAPHS])


def _unit_blocks(vectors: scipy.sparse.csr_array, blocks: np.ndarray) -> scipy.sparse.csr_array:
    """The rows of a matrix `[N, C]` with length 1 in every block of columns."""
    indicator = scipy.sparse.csr_array((np.ones(len(blocks)), (np.arange(len(blocks)), blocks)))
    lengths = np.sqrt((vectors.multiply(vectors) @ indicator).toarray())
    rows = np.repeat(np.arange(vectors.shape[0]), np.diff(vectors.indptr))
    values = vectors.data / lengths[rows, blocks[vectors.indices]]
    return scipy.sparse.csr_array((values, vectors.indices, vectors.indptr), shape=vectors.shape)


def _directions(vectors: scipy.sparse.csr_array, most: int) -> np.ndarray:
    """Principal directions `[C, k]` of the rows, largest first, k at most `most`."""
    values, left = scipy.linalg.eigh((vectors @ vectors.T).toarray())
    values, left = values[::-1][:most], left[:, ::-1][:, :most]
    clear = values > _SMALLEST * values[0]
    return vectors.T.astype(np.float32) @ (left[:, clear] / np.sqrt(values[clear])).astype(np.float32)


def _scale(plain: np.ndarray, family: np.ndarray, shrinkage: float) -> np.ndarray:
    """The symmetric root of the inverse covariance within families, `[K, K]`."""
    members = np.bincount(family)
    sums = np.zeros((len(members), plain.shape[1]))
    np.add.at(sums, family, plain)
    several = members[family] > 1
    deviations = (plain - sums[family] / members[family, None])[several]
    values, vectors = scipy.linalg.eigh(deviations.T @ deviations / len(deviations))
    values = np.maximum(values, 0.0)
    added = max(shrinkage * values.mean(), np.finfo(np.float32).tiny)  # equal graphs do not vary
    return (vectors / np.sqrt(values + added)) @ vectors.T


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
