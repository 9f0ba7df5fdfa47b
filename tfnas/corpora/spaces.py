"""Corpora of whole search spaces, graph by graph straight from the architectures."""

from collections.abc import Iterator, Mapping

import joblib
import numpy as np
from tqdm import tqdm

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.errors import ConfigurationError
from tfnas.networks import symbolic
from tfnas.spaces import CellTable, Space, get_space
from tfnas.spaces.nasbench201 import NONE

_CHUNK = 256


def write_space_corpus(
    folder: artefacts.PathLike,
    counts: Mapping[str, int],
    *,
    layout: str = symbolic.BENCHMARK,
    seed: int = 1,
    num_workers: int = -1,
    num_shards: int = 8,
) -> int:
    """Writes the graphs of random architectures of some spaces; their family is the space.

    Args:
      folder: where.
      counts: architectures to sample without repetition, by space.
      layout: see `symbolic.build`; the predictor's has no architecture with `none`.
      seed: of the samples.
      num_workers: processes, -1 for one per processor; the result does not depend on it.
      num_shards: number of files.

    Returns:
      The number of graphs.

    Raises:
      ConfigurationError: an unknown space or layout, or a space that holds fewer.
    """
    jobs: list[tuple[str, CellTable, int]] = []
    for name, count in counts.items():
        if name not in symbolic.SPACES:
            raise ConfigurationError(f"space {name!r}, expected one of {', '.join(symbolic.SPACES)}")
        space = get_space(name)
        cells = _sample(space, count, layout, np.random.default_rng(seed))
        jobs += [(name, cells[start : start + _CHUNK], start) for start in range(0, count, _CHUNK)]

    def records() -> Iterator[graph_corpora.Record]:
        built = joblib.Parallel(n_jobs=num_workers, return_as="generator")(
            joblib.delayed(_build)(*job, layout) for job in jobs
        )
        with tqdm(total=sum(counts.values()), desc="Graphs", unit="graph", leave=False) as bar:
            for chunk in built:
                yield from chunk
                bar.update(len(chunk))

    settings = {"spaces": dict(counts), "layout": layout, "seed": seed}
    return graph_corpora.write_records(folder, records(), num_shards, **settings)


def _sample(space: Space, count: int, layout: str, rng: np.random.Generator) -> CellTable:
    if layout == symbolic.BENCHMARK or NONE not in space.operations:
        return space.sample(count, rng)
    none = space.operations.index(NONE)
    if space.enumerable:
        cells = space.enumerate()
        cells = cells[(cells.operations != none).all(axis=1)]
        if len(cells) < count:
            raise ConfigurationError(f"{space.name} holds {len(cells)} cells without {NONE!r}, {count} were asked for")
        return cells[rng.permutation(len(cells))[:count]]
    kept: list[CellTable] = []
    while sum(map(len, kept)) < count:
        cells = space.sample(2 * count + 100, rng)
        kept.append(cells[(cells.operations != none).all(axis=1)])
    cells = CellTable.concatenate(kept)
    _, first = np.unique(space.canonical_hashes(cells), return_index=True)
    if len(first) < count:
        return _sample(space, count, layout, rng)
    return cells[np.sort(first)[:count]]


def _build(name: str, cells: CellTable, start: int, layout: str) -> list[graph_corpora.Record]:
    space = get_space(name)
    return [
        graph_corpora.record(
            symbolic.build(name, space.architecture(cells, row), layout=layout, name=f"{name}-{start + row}")
        )
        for row in range(len(cells))
    ]
