"""Where the cells to train on or to embed come from."""

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.spaces import Space, get_space
from tfnas.spaces.base import CellTable


def cells_of(
    name: str,
    corpus: artefacts.PathLike | None,
    num_cells: int,
    seed: int,
    max_multiply_adds: float | None = None,
) -> tuple[Space, CellTable]:
    """A space and its cells: a corpus, the whole space, or a sample of a space that can't be enumerated.

    Args:
      name: the space.
      corpus: a folder that `corpora.cells.write_cells` wrote, or None.
      num_cells: size of the sample.
      seed: of the sample.
      max_multiply_adds: keep DARTS cells whose network for ImageNet (48 channels, 14 layers, 224 pixels) needs at most
        so many; arch2vec keeps those below 6e8.

    Raises:
      ConfigurationError: no such space, not a positive number of cells, or a bound that can't be kept.
      CorruptArtefactError: the corpus is damaged.
      MismatchError: the corpus is of another space.
    """
    space = get_space(name)
    if max_multiply_adds is not None and (space.name != "darts" or corpus is not None):
        raise ConfigurationError(f"multiply-adds bound samples of darts only, not {corpus or space.name}")
    if corpus is not None:
        from tfnas.corpora import cells as cell_corpora

        return space, cell_corpora.load_cells(corpus, space)
    if space.enumerable:
        return space, space.enumerate()
    if num_cells < 1:
        raise ConfigurationError(f"num_cells={num_cells}, expected at least 1")
    if max_multiply_adds is not None:
        return space, _light_cells(space, num_cells, seed, max_multiply_adds)
    return space, space.sample(num_cells, np.random.default_rng(seed))


def _light_cells(space: Space, count: int, seed: int, bound: float) -> CellTable:
    from tfnas.networks import darts

    drawn = count
    while drawn <= 100 * count + 10_000:
        cells = space.sample(drawn, np.random.default_rng(seed))
        cells = cells[darts.work(darts.IMAGENET, cells, 224)[1] <= bound]
        if len(cells) >= count:
            return cells[:count]
        drawn = drawn * 5 // 4 + 100
    raise ConfigurationError(f"hardly any {space.name} cell needs at most {bound:g} multiply-adds; allow more")
