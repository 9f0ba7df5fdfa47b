"""Where the cells to train on or to embed come from."""

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.spaces import Space, get_space
from tfnas.spaces.base import CellTable


def cells_of(name: str, corpus: artefacts.PathLike | None, num_cells: int, seed: int) -> tuple[Space, CellTable]:
    """A space and its cells: a corpus, the whole space, or a sample of a space that can't be enumerated.

    Args:
      name: the space.
      corpus: a folder that `graphs.records.write_cells` wrote, or None.
      num_cells: size of the sample.
      seed: of the sample.

    Raises:
      ConfigurationError: no such space, or not a positive number of cells.
      CorruptArtefactError: the corpus is damaged.
      MismatchError: the corpus is of another space.
    """
    space = get_space(name)
    if corpus is not None:
        from tfnas.graphs import records

        return space, records.load_cells(corpus, space)
    if space.enumerable:
        return space, space.enumerate()
    if num_cells < 1:
        raise ConfigurationError(f"num_cells={num_cells}, expected at least 1")
    return space, space.sample(num_cells, np.random.default_rng(seed))
