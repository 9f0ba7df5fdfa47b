"""Where the cells to train on or to embed come from."""

import pathlib

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import CellTable, Darts, Space


def cells_of(
    space: Space,
    corpus: artefacts.PathLike | None,
    num_cells: int,
    seed: int,
    max_multiply_adds: float | None = None,
) -> CellTable:
    """Cells of a space: a corpus, the whole space, or a sample of a space that can't be enumerated.

    Args:
      space: search space.
      corpus: folder that `corpora.cells.write_cells` wrote; None for the space itself.
      num_cells: size of the sample.
      seed: seed of the sample.
      max_multiply_adds: largest number of multiply-adds that a DARTS cell's network for ImageNet (48 channels, 14
        layers, 224 pixels) may need, 6e8 in arch2vec; by default any number.

    Raises:
      ConfigurationError: not a positive number of cells, or a bound that can't be kept.
      CorruptArtefactError: the corpus is damaged.
      MismatchError: the corpus is of another space.
    """
    if max_multiply_adds is not None and (not isinstance(space, Darts) or corpus is not None):
        raise ConfigurationError(f"multiply-adds bound samples of {Darts.name} only, not {corpus or space.name}")
    if corpus is not None:
        from tfnas.corpora import cells as cell_corpora

        return cell_corpora.load_cells(corpus, space)
    if space.enumerable:
        return space.enumerate()
    if num_cells < 1:
        raise ConfigurationError(f"num_cells={num_cells}, expected at least 1")
    if max_multiply_adds is not None:
        return _light_cells(space, num_cells, seed, max_multiply_adds)
    return space.sample(num_cells, np.random.default_rng(seed))


def read_architectures(space: Space, path: artefacts.PathLike) -> CellTable:
    """The architectures of a text file, one per line; lines may be blank.

    Args:
      space: search space of the architectures.
      path: file of texts or JSON lines, in any notations that `Space.read` reads.

    Raises:
      ConfigurationError: the file is no text, or holds no architecture.
      InvalidArchitectureError: a line is no architecture of the space.
    """
    try:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: not a text file, expected an architecture per line") from error
    architectures = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            architectures.append(space.read(line))
        except InvalidArchitectureError as error:
            raise InvalidArchitectureError(f"{path}, line {number}: {error}") from error
    if not architectures:
        raise ConfigurationError(f"{path}: no line, expected an architecture per line")
    return space.to_table(architectures)


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
