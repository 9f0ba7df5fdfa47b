"""Packed graphs straight from the architectures of a space, on all processors."""

import joblib
import numpy as np
from tqdm import tqdm

from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.networks import symbolic
from tfnas.spaces import CellTable, get_space

_CHUNK = 512


def pack_cells(
    space: str,
    cells: CellTable,
    labels: np.ndarray | None = None,
    *,
    layout: str = symbolic.PREDICTOR,
    num_workers: int = -1,
    progress: bool = False,
) -> PackedGraphs:
    """The networks of N cells; their family is the space.

    Args:
      space: one of `symbolic.SPACES`.
      cells: N architectures.
      labels: accuracies `[N]` as fractions.
      layout: see `symbolic.build`.
      num_workers: processes, -1 for one per processor; the result does not depend on it.
      progress: show a bar.

    Raises:
      ConfigurationError: an unknown space or layout, or no cells.
      InvalidArchitectureError: the layout can't hold an architecture.
    """
    chunks = [cells[start : start + _CHUNK] for start in range(0, len(cells), _CHUNK)]
    workers = 1 if len(chunks) < 3 else num_workers  # starting processes takes longer than some hundred graphs
    built = joblib.Parallel(n_jobs=workers, return_as="generator")(
        joblib.delayed(_pack)(space, chunk, layout) for chunk in chunks
    )
    bar = tqdm(built, desc=f"Graphs of {space}", total=len(chunks), unit="chunk", disable=not progress, leave=False)
    graphs = PackedGraphs.concatenate(list(bar))
    return graphs if labels is None else graphs.with_labels(labels)


def _pack(name: str, cells: CellTable, layout: str) -> PackedGraphs:
    space = get_space(name)
    return pack(symbolic.build(name, space.architecture(cells, row), layout=layout) for row in range(len(cells)))
