"""Zero-cost scores of many architectures: computing them so that nothing is lost, and their table."""

import json
import pathlib
from collections.abc import Callable, Mapping

import numpy as np
from tqdm import tqdm

from tfnas import artefacts
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
    """
    path = folder / "scores.jsonl"
    done = _finished(path)
    for row in tqdm(range(len(cells)), desc="Zero-cost scores", unit="network"):
        if row in done:
            continue
        values = {name: float(value) for name, value in score(space.architecture(cells, row)).items()}
        done[row] = values
        stored = {name: value if np.isfinite(value) else None for name, value in values.items()}
        artefacts.append_text(path, json.dumps({"row": row, **stored}, sort_keys=True) + "\n")
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


def _finished(path: pathlib.Path) -> dict[int, dict[str, float]]:
    """Scores by row; a torn last line, left by a killed process, is cut off."""
    if not path.exists():
        return {}
    done: dict[int, dict[str, float]] = {}
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            break
        records.append(record)
        values = {name: float("nan") if value is None else value for name, value in record.items() if name != "row"}
        done[record["row"]] = values
    artefacts.write_json_lines(path, records)
    return done
