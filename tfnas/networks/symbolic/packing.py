"""Packed graphs straight from the architectures of a space, on all processors."""

import joblib
import numpy as np
from tqdm import tqdm

from tfnas import processes
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.networks import symbolic
from tfnas.networks.registry import Network, network_of
from tfnas.spaces import CellTable, Space

_CHUNK = 512


def pack_cells(
    space: Space,
    cells: CellTable,
    labels: np.ndarray | None = None,
    *,
    layout: str = symbolic.PREDICTOR,
    num_workers: int = -1,
    progress: bool = False,
) -> PackedGraphs:
    """The networks of N cells; their family is the space.

    Args:
      space: search space of the cells.
      cells: N architectures.
      labels: accuracies `[N]` as fractions.
      layout: layout of the graphs, see `symbolic.build`.
      num_workers: number of processes, which the result does not depend on; by default one per processor.
      progress: whether a bar is shown.

    Raises:
      ConfigurationError: a space without networks, an unknown layout, or no cells.
      InvalidArchitectureError: the layout can't hold an architecture.
    """
    network = network_of(space)  # workers know no rows that a user added
    chunks = [cells[start : start + _CHUNK] for start in range(0, len(cells), _CHUNK)]
    built = processes.results((joblib.delayed(_pack)(network, space, chunk, layout) for chunk in chunks), num_workers)
    title = f"Graphs of {space.name}"
    bar = tqdm(built, desc=title, total=len(chunks), unit="chunk", disable=not progress, leave=False)
    graphs = PackedGraphs.concatenate(list(bar))
    return graphs if labels is None else graphs.with_labels(labels)


def _pack(network: Network, space: Space, cells: CellTable, layout: str) -> PackedGraphs:
    return pack(
        symbolic.build(space, space.architecture(cells, row), layout=layout, network=network)
        for row in range(len(cells))
    )
