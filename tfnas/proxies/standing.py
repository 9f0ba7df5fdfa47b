"""Where a model's zero-cost scores stand among those of NAS-Bench-201 cells that were scored in the same way.

The file `data/nasbench201.npz` holds the cells, as `write_cells` makes it: random cells without `none`, 64 images of
the CIFAR-10 subset, seed 1. Each cell is a network of its own with weights drawn from the seed, as a model has them.
"""

import functools
import pathlib
from collections.abc import Mapping

import numpy as np

from tfnas import artefacts
from tfnas.benchmarks.trained.images import batch_of_images
from tfnas.networks.nasbench201 import Skeleton, operation_codes, work
from tfnas.proxies.spaces import network_scores
from tfnas.proxies.tables import read_scores, score_cells
from tfnas.spaces import NONE, NASBench201

CELLS_PATH = pathlib.Path(__file__).parent / "data" / "nasbench201.npz"
IMAGE_SHAPE = (32, 32, 3)
BATCH_SIZE = 64
SIZES = ("parameters", "multiply_adds")
_SEED = 1


def write_cells(folder: artefacts.PathLike, data: artefacts.PathLike, count: int = 1000) -> None:
    """Writes `scores.npz`, the file of the cells, to a folder; a run that was killed goes on. About 3 CPU s per cell.

    Args:
      folder: an existing folder.
      data: path of images of 32 x 32 pixels with three channels, see `benchmarks.trained.images.load_images`.
      count: number of cells.
    """
    images, labels = batch_of_images(data, BATCH_SIZE, _SEED)
    space = NASBench201()
    cells = space.sample_without(NONE, count, np.random.default_rng(_SEED))
    facts = {"source": "tfnas.proxies", "seed": _SEED, "batch_size": BATCH_SIZE}
    score_cells(
        space,
        cells,
        lambda architecture: network_scores(space, architecture, images, labels, seed=_SEED),
        pathlib.Path(folder),
        **facts,
    )


@functools.cache
def cell_scores() -> dict[str, np.ndarray]:
    """Scores float64 `[N]` of the shipped cells by name, with `parameters` and `multiply_adds`."""
    space = NASBench201()
    cells, columns = read_scores(CELLS_PATH, space)
    codes = np.stack([operation_codes(space.architecture(cells, row)) for row in range(len(cells))])
    return columns | dict(zip(SIZES, work(Skeleton(), codes, IMAGE_SHAPE), strict=True))


def percentiles(values: Mapping[str, float]) -> dict[str, float]:
    """Share of the shipped cells with a lower score, in percent; equal ones count half.

    Args:
      values: scores and sizes by name, of a batch of 64 images of 32 x 32 pixels with three channels.

    Returns:
      A number from 0 to 100 for each name, NaN for a score that is NaN. Cells without the score are left out.
    """
    reference = cell_scores()
    shares = {}
    for name, value in values.items():
        scored = reference[name][np.isfinite(reference[name])]
        share = (scored < value).mean() + (scored == value).mean() / 2
        shares[name] = 100 * float(share) if np.isfinite(value) else float("nan")
    return shares
