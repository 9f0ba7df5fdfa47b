"""Corpora of whole search spaces, graph by graph straight from the architectures."""

from collections.abc import Iterator, Sequence

import joblib
import numpy as np
from tqdm import tqdm

from tfnas import artefacts, processes
from tfnas.corpora import graphs as graph_corpora
from tfnas.networks import symbolic
from tfnas.networks.registry import Network, network_of
from tfnas.spaces import NONE, CellTable, Space

_CHUNK = 256


def write_space_corpus(
    folder: artefacts.PathLike,
    counts: Sequence[tuple[Space, int]],
    *,
    layout: str = symbolic.BENCHMARK,
    seed: int = 1,
    num_workers: int = -1,
    num_shards: int = 8,
) -> int:
    """Writes the graphs of random architectures of some spaces; their family is the space.

    Args:
      folder: folder of the corpus.
      counts: pairs of a space and the number of architectures to sample without repetition.
      layout: layout of the graphs, see `symbolic.build`; the predictor's layout leaves out architectures with `none`.
      seed: seed of the samples.
      num_workers: number of processes, which the result does not depend on; by default one per processor.
      num_shards: number of files.

    Returns:
      The number of graphs.

    Raises:
      ConfigurationError: a space without networks or with fewer architectures, or an unknown layout.
    """
    jobs: list[tuple[Network, Space, CellTable, int]] = []
    for space, count in counts:
        network, rng = network_of(space), np.random.default_rng(seed)
        cells = space.sample(count, rng) if layout == symbolic.BENCHMARK else space.sample_without(NONE, count, rng)
        jobs += [(network, space, cells[start : start + _CHUNK], start) for start in range(0, count, _CHUNK)]

    def records() -> Iterator[graph_corpora.Record]:
        built = processes.results((joblib.delayed(_build)(*job, layout) for job in jobs), num_workers)
        with tqdm(total=sum(count for _, count in counts), desc="Graphs", unit="graph", leave=False) as bar:
            for chunk in built:
                yield from chunk
                bar.update(len(chunk))

    settings = {"spaces": {space.name: count for space, count in counts}, "layout": layout, "seed": seed}
    return graph_corpora.write_records(folder, records(), num_shards, **settings)


def _build(network: Network, space: Space, cells: CellTable, start: int, layout: str) -> list[graph_corpora.Record]:
    return [
        graph_corpora.record(
            symbolic.build(
                space,
                space.architecture(cells, row),
                layout=layout,
                network=network,
                name=f"{space.name}-{start + row}",
            )
        )
        for row in range(len(cells))
    ]
