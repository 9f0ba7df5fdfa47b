"""Table 1's numbers as the published code defines them, looser than `metrics`, for comparison with the paper.

Reconstruction is judged entry by entry, padded vertices included; on NAS-Bench-201 a sample counts as valid whatever
its edges are; on DARTS half of the rules are left out; uniqueness takes two drawings of one cell for two cells.

References:
  Yan et al. 2020 (arch2vec), the released program: `utils.get_val_acc_vae`, `is_valid_nasbench201`, `is_valid_darts`.
"""

import numpy as np
import tensorflow as tf

from tfnas.encoders.arch2vec.metrics import latent_statistics, posterior_means, sample_latents
from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.spaces import ABSENT, CellTable, Darts, NASBench101, NASBench201, Space, isomorphism, nasbench101


def evaluate(
    model: Arch2Vec,
    space: Space,
    train_cells: CellTable,
    test_cells: CellTable,
    num_samples: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """The published program's metrics, as fractions.

    Returns:
      `published_operation_accuracy` and `published_edge_accuracy` (entries), and for the paper's three spaces
      `published_validity` and `published_uniqueness`.
    """
    operations, edges = (logits.numpy() for logits in model.decode(tf.constant(posterior_means(model, test_cells))))
    vertices = operations.shape[1]
    targets = np.where(test_cells.operations == ABSENT, 0, test_cells.operations)
    upper = np.triu_indices(vertices, 1)
    result = {
        "published_operation_accuracy": float((operations.argmax(axis=-1) == targets).mean()),
        "published_edge_accuracy": float(((edges > 0) == (test_cells.adjacency > 0))[:, upper[0], upper[1]].mean()),
    }
    latents = sample_latents(latent_statistics(model, train_cells), num_samples, rng, joint=False)
    operations, edges = (logits.numpy() for logits in model.decode(tf.constant(latents)))
    codes, adjacency = operations.argmax(axis=-1).astype(np.uint8), np.triu(edges > 0, 1).astype(np.uint8)
    valid = published_validity(space, codes, adjacency)
    if valid is not None:
        count = max(int(valid.sum()), 1)
        drawings = isomorphism.fingerprints(adjacency[valid], codes[valid].astype(np.int64))
        result["published_validity"] = float(valid.mean())
        result["published_uniqueness"] = len(np.unique(drawings)) / count
    return result


def published_validity(space: Space, codes: np.ndarray, adjacency: np.ndarray) -> np.ndarray | None:
    """Acceptance of decoded cells by the published program, bool `[N]`; None in spaces that the program does not know.

    Args:
      space: space of the cells.
      codes: uint8 `[N, V]`, an operation for every vertex of the largest cell.
      adjacency: uint8 `[N, V, V]`, strictly upper triangular.
    """
    last = len(space.operations) - 1
    ends = (codes[:, 0] == 0) & (codes[:, -1] == last)
    if isinstance(space, NASBench101):
        inner = ~nasbench101.on_path(adjacency)
        inner[:, [0, -1]] = False
        codes = np.where(inner, 1, codes)  # the benchmark prunes before it looks at operations
        return space.validate_many(CellTable(codes, adjacency)) & ends
    if isinstance(space, NASBench201):
        inner = codes[:, 2:-1]  # vertex 1 is skipped, and so is the adjacency
        return ends & ((inner > 0) & (inner < last)).all(axis=1)
    if isinstance(space, Darts):
        inner = codes[:, 2:-1]
        valid = ends & (codes[:, 1] == 1) & ((inner > 1) & (inner < last)).all(axis=1)
        for block in range(2, codes.shape[1] - 1, 2):
            for vertex in (block, block + 1):
                valid &= adjacency[:, :block, vertex].any(axis=1) & ~adjacency[:, block:, vertex].any(axis=1)
        return valid
    return None
