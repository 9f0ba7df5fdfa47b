"""Results of an experiment: arrays that are computed once, a Markdown table, the same as JSON, and a comparison."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.reports import tables


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of an experiment.

    Attributes:
      title: heading of the Markdown file.
      columns: column titles of the table.
      rows: cells of the table.
      comparison: sentences with measured numbers beside the paper's.
      values: unrounded numbers as JSON values.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    comparison: Sequence[str]
    values: Mapping[str, Any]

    def write(self, output_dir: pathlib.Path, name: str) -> None:
        """Writes `<name>.json` and `<name>.md`, which marks the experiment as finished, to an existing folder."""
        artefacts.write_json(output_dir / f"{name}.json", dict(self.values))
        lines = "\n".join(f"- {line}" for line in self.comparison)
        table = tables.markdown(self.columns, self.rows)
        artefacts.write_text(output_dir / f"{name}.md", f"# {self.title}\n\n{table}\n\n{lines}\n")


def computed_once(path: pathlib.Path, compute: Callable[[], Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Arrays of a file, which `compute` gives first if the file does not exist; so a resumed run goes on."""
    if not path.exists():
        artefacts.write_npz(path, **compute())
    return artefacts.read_npz(path)


def percent(mean: float, deviation: float | None = None) -> str:
    """Mean and, if there is one, deviation of fractions as percentages."""
    return f"{100 * mean:.2f}" + ("" if deviation is None else f" ± {100 * deviation:.2f}")


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean and deviation of some numbers."""
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"
