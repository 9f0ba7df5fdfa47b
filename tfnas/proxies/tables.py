"""Zero-cost scores of many architectures: computing them so that nothing is lost, and their table."""

import pathlib
from collections.abc import Callable, Mapping

import numpy as np
from tqdm import tqdm

from tfnas import artefacts, sealed_lines
from tfnas.benchmarks.table import read_table, write_table
from tfnas.spaces import Architecture, CellTable, Space

_PREFIX = "proxy_"
TABLE_NAME = "scores.npz"


def score_cells(
    space: Space,
    cells: CellTable,
    score: Callable[[Architecture], Mapping[str, float]],
    folder: pathlib.Path,
    **facts: object,
) -> dict[str, np.ndarray]:
    """Scores N architectures, one after the other.

    Every score is in `scores.jsonl` as soon as it is known, so that a run that was killed goes on where it ended; the
    table `scores.npz` is written at the end.

    Args:
      space: the space.
      cells: N architectures.
      score: the scores of one.
      folder: an existing folder.
      **facts: JSON values for the table's header.

    Returns:
      Scores float64 `[N]` by name, NaN where one could not be computed.

    Raises:
      CorruptArtefactError: a line of `scores.jsonl` is damaged.
    """
    path = folder / "scores.jsonl"
    records = sealed_lines.read(path)
    done = {record["row"]: _values(record) for record in records}
    log = sealed_lines.LineLog(path, records)
    for row in tqdm(range(len(cells)), desc="Zero-cost scores", unit="network"):
        if row in done:
            continue
        values = {name: float(value) for name, value in score(space.architecture(cells, row)).items()}
        done[row] = values
        stored = {name: value if np.isfinite(value) else None for name, value in values.items()}
        log.add({"row": row, **stored})
    columns = {name: np.array([done[row][name] for row in range(len(cells))]) for name in done[0]}
    write_table(
        folder / TABLE_NAME, space, cells, {_PREFIX + name: values for name, values in columns.items()}, **facts
    )
    return columns


def read_scores(path: artefacts.PathLike, space: Space) -> tuple[CellTable, dict[str, np.ndarray]]:
    """Architectures and their scores by name, of a table that `score_cells` or a benchmark's publisher wrote.

    Raises:
      CorruptArtefactError: the table is damaged.
      ConfigurationError: it is of another space.
    """
    table = read_table(path, space)
    names = [name for name in table.columns if name.startswith(_PREFIX)]
    return table.cells, {name.removeprefix(_PREFIX): table.values(name) for name in names}


def _values(record: Mapping[str, float | None]) -> dict[str, float]:
    """Scores by name of a line of `scores.jsonl`, in which null stands for NaN."""
    return {name: float("nan") if value is None else value for name, value in record.items() if name != "row"}
