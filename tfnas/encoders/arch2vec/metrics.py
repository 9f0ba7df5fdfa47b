"""How well an autoencoder of cells reconstructs, and what its decoder makes of samples.

Strict definitions: a cell is reconstructed if every operation and every edge between its vertices is; a sample is
valid if it keeps every rule of the space.

References:
  Yan et al. 2020 (arch2vec), section 4.1 and appendix B.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.encoders.arch2vec.saved import in_chunks
from tfnas.spaces import ABSENT, CellTable, Space

_BATCH = 2048


def evaluate(
    model: Arch2Vec,
    space: Space,
    train_cells: CellTable,
    test_cells: CellTable,
    num_samples: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Every metric of the paper's table 1, as fractions.

    Returns:
      `reconstruction_accuracy` (whole graphs), `operation_accuracy` and `edge_accuracy` (entries) on `test_cells`;
      the metrics of `judge` for `num_samples` samples; the metrics of `judge` with `independent_` before their names,
      for samples whose entries are drawn independently, as the published code draws them.
    """
    result = reconstruction(model, test_cells)
    statistics = latent_statistics(model, train_cells)
    for prefix, joint in (("", True), ("independent_", False)):
        latents = sample_latents(statistics, num_samples, rng, joint=joint)
        result |= {prefix + name: value for name, value in judge(space, decode_cells(model, space, latents)).items()}
    return result


def judge(space: Space, samples: CellTable) -> dict[str, float]:
    """`validity`, `uniqueness` of the valid samples and, for spaces of known size, `relative_uniqueness`.

    The relative uniqueness is the ratio to the uniqueness of equally many uniform draws from the space.
    """
    valid = space.validate_many(samples)
    count = max(int(valid.sum()), 1)
    distinct = len(np.unique(space.canonical_hashes(samples[valid]))) if valid.any() else 0
    result = {"validity": float(valid.mean()), "uniqueness": distinct / count}
    if space.size is not None:
        result["relative_uniqueness"] = distinct / count / expected_uniqueness(space.size, count)
    return result


def expected_uniqueness(size: int, draws: int) -> float:
    """Expected share of distinct items among uniform draws with replacement from `size` items."""
    return size * -np.expm1(draws * np.log1p(-1 / size)) / draws


def posterior_means(model: Arch2Vec, cells: CellTable) -> np.ndarray:
    """Vertex means float32 `[N, V, D]`."""
    return in_chunks(_compiled_encoder(model), cells, 1, _BATCH)


def embeddings(model: Arch2Vec, cells: CellTable) -> np.ndarray:
    """Embeddings float32 `[N, D]`."""
    return in_chunks(_compiled_encoder(model), cells, 0, _BATCH)


def _compiled_encoder(model: Arch2Vec) -> tf.types.experimental.GenericFunction:
    if not hasattr(model, "compiled_embedding"):
        # XLA can't read variables of several devices.
        @tf.function(autograph=False, jit_compile=model.distribute_strategy.num_replicas_in_sync == 1)
        def embed(operations: tf.Tensor, adjacency: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            ops = tf.one_hot(tf.cast(operations, tf.int32), model.num_operations)
            embedding, posterior = model.embed(ops, tf.cast(adjacency, tf.float32))
            return embedding, posterior.mean

        model.compiled_embedding = embed
    return model.compiled_embedding


def reconstruction(model: Arch2Vec, cells: CellTable) -> dict[str, float]:
    """Accuracy of decoding the posterior means of `cells`."""
    operation_logits, edge_logits = (
        logits.numpy() for logits in model.decode(tf.constant(posterior_means(model, cells)))
    )
    exists = cells.vertex_mask
    operation_right = operation_logits.argmax(axis=-1) == cells.operations
    pairs = exists[:, :, None] & exists[:, None, :] & np.triu(np.ones(cells.adjacency.shape[1:], bool), 1)
    edge_right = (edge_logits > 0) == (cells.adjacency > 0)
    whole = (operation_right | ~exists).all(axis=1) & (edge_right | ~pairs).all(axis=(1, 2))
    return {
        "reconstruction_accuracy": float(whole.mean()),
        "operation_accuracy": float(operation_right[exists].mean()),
        "edge_accuracy": float(edge_right[pairs].mean()),
    }


@dataclasses.dataclass(frozen=True)
class LatentStatistics:
    """How the vertex means of training cells are distributed.

    Attributes:
      mean: float32 `[V, D]`, means over the cells that have a vertex at the position, if the model masks padding, and
        over all cells otherwise.
      stddev: float32 `[V, D]`, standard deviations over the same cells.
      joint_mean: float32 `[V D]`, means over all cells. The latents of an absent vertex count: they are equal for all
        absent vertices, and tell the decoder where a cell ends.
      joint_root: float32 `[V D, V D]`, a square root of the covariance of all entries.
    """

    mean: np.ndarray
    stddev: np.ndarray
    joint_mean: np.ndarray
    joint_root: np.ndarray


def latent_statistics(model: Arch2Vec, cells: CellTable) -> LatentStatistics:
    """Moments of the vertex means over `cells`."""
    means = posterior_means(model, cells)
    weights = np.ones_like(means[..., :1])
    if model.config.mask_padding:
        weights = cells.vertex_mask[..., None].astype(np.float32)
    count = np.maximum(weights.sum(axis=0), 1)
    mean = (means * weights).sum(axis=0) / count
    stddev = np.sqrt((((means - mean) ** 2) * weights).sum(axis=0) / count)
    flat = means.reshape(len(means), -1)
    joint_mean = flat.mean(axis=0)
    centred = flat - joint_mean
    eigenvalues, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred / len(flat))
    root = (vectors * np.sqrt(np.maximum(eigenvalues, 0))).astype(np.float32)
    return LatentStatistics(mean, stddev, joint_mean, root)


def sample_latents(
    statistics: LatentStatistics, count: int, rng: np.random.Generator, *, joint: bool = True
) -> np.ndarray:
    """Prior samples that are moved and scaled to the training cells' latent statistics, float32 `[count, V, D]`.

    Args:
      statistics: statistics of the training cells.
      count: number of samples.
      rng: source of the samples.
      joint: whether samples are scaled with the covariance of all latent entries of a cell; otherwise every entry is
        scaled by itself, as the published code does.
    """
    deviates = rng.standard_normal((count, *statistics.mean.shape), dtype=np.float32)
    if not joint:
        return statistics.mean + statistics.stddev * deviates
    latents = statistics.joint_mean + deviates.reshape(count, -1) @ statistics.joint_root.T
    return latents.reshape(deviates.shape)


def decode_cells(model: Arch2Vec, space: Space, latents: np.ndarray) -> CellTable:
    """The most likely cells of latents `[N, V, D]`; see `cells_from_logits`."""
    operation_logits, edge_logits = model.decode(tf.constant(latents))
    return cells_from_logits(space, operation_logits.numpy(), edge_logits.numpy())


def cells_from_logits(space: Space, operation_logits: np.ndarray, edge_logits: np.ndarray) -> CellTable:
    """The most likely cells, which need not be valid.

    A cell ends with its first output vertex; the logits of later vertices are ignored.

    Args:
      space: space that gives the columns their meaning.
      operation_logits: `[N, V, O]`.
      edge_logits: `[N, V, V]`.
    """
    codes = operation_logits.argmax(axis=-1).astype(np.uint8)
    is_output = codes == len(space.operations) - 1
    after = np.cumsum(is_output, axis=1) - is_output > 0
    adjacency = np.triu(edge_logits > 0, 1) & ~after[:, :, None] & ~after[:, None, :]
    return CellTable(np.where(after, ABSENT, codes).astype(np.uint8), adjacency.astype(np.uint8))
