"""The graphs and labels that the experiments of the transferable predictor share.

References:
  Han et al. 2023, section 5.1: 50,000 networks of NAS-Bench-101, 4,096 of NAS-Bench-201 (those without `none`), 10,000
  of NAS-Bench-301, in the layout of the predictor's paper, with CIFAR-10 accuracies.
"""

import dataclasses
import pathlib

import numpy as np

from reproductions import report
from reproductions.predictor.settings import Settings
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.table import CompactTable
from tfnas.encoders.computation_graph import similarity
from tfnas.graphs.packed import PackedGraphs
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.spaces import NONE, CellTable, get_space

TARGETS = {"nasbench101": 50, "nasbench201": 40, "nasbench301": 50}
"""Families and the number of labels that fine-tuning gets."""

_COLUMNS = {
    "nasbench101": "test_accuracy_108",
    "nasbench201": "cifar10_test_accuracy_200",
    "nasbench301": "surrogate_validation_accuracy",
}
TEST_POOL = 5000
"""Most labelled networks of a family that are drawn from and tested on."""


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Graphs of three families.

    Attributes:
      graphs: N graphs with labels, NaN where the benchmark has none.
      spectra: float32 `[N, 11]`.
      cells: architectures of each family in the order of the family's graphs.
    """

    graphs: PackedGraphs
    spectra: np.ndarray
    cells: dict[str, CellTable]

    def rows(self, family: str) -> np.ndarray:
        """The graphs of a family."""
        return np.flatnonzero(self.graphs.family == self.graphs.families.index(family))

    def labelled(self, family: str) -> np.ndarray:
        """The graphs of a family that have a label."""
        rows = self.rows(family)
        return rows[np.isfinite(self.graphs.labels[rows])]

    def pool(self, family: str, seed: int) -> np.ndarray:
        """At most 5,000 labelled graphs, among which fine-tuning draws its labels and is tested on the rest."""
        return np.random.default_rng([seed, 0]).permutation(self.labelled(family))[:TEST_POOL]

    def without(self, family: str) -> np.ndarray:
        """The labelled graphs of all other families."""
        return np.concatenate([self.labelled(other) for other in TARGETS if other != family])

    def standardised_labels(self) -> np.ndarray:
        """Labels with mean 0 and deviation 1 in every family, float32 `[N]`; for source families only."""
        labels = np.full(len(self.graphs), np.nan, np.float32)
        for family in TARGETS:
            rows = self.labelled(family)
            values = self.graphs.labels[rows]
            labels[rows] = (values - values.mean()) / values.std()
        return labels


def fine_tuning_sets(pool: np.ndarray, family: str, runs: int, seed: int) -> list[np.ndarray]:
    """The labelled graphs of every run, drawn from the pool."""
    number = list(TARGETS).index(family)
    return [np.random.default_rng([seed, 1 + number, run]).permutation(pool)[: TARGETS[family]] for run in range(runs)]


def load(folder: pathlib.Path, settings: Settings) -> Corpus:
    """Builds the corpus, or reads what an earlier call left in `folder`.

    Args:
      folder: folder that gets `corpus.npz`.
      settings: seed and numbers of networks.

    Raises:
      ConfigurationError: a benchmark's table is not found.
    """
    cells, labels = _architectures(settings)
    names = [field.name for field in dataclasses.fields(PackedGraphs) if field.name != "families"]

    def packed() -> dict[str, np.ndarray]:
        graphs = PackedGraphs.concatenate(
            [pack_cells(get_space(family), cells[family], labels[family], progress=True) for family in TARGETS]
        )
        return {"spectra": similarity.graph_spectra(graphs), **{name: getattr(graphs, name) for name in names}}

    arrays = report.computed_once(folder / "corpus.npz", packed)
    graphs = PackedGraphs(families=tuple(TARGETS), **{name: arrays[name] for name in names})
    return Corpus(graphs, arrays["spectra"], cells)


def labelled_rows(table: CompactTable, family: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows int `[N]` of a family's table that have a label and a network, and the labels float32 `[N]`."""
    values = table.values(_COLUMNS[family])
    usable = np.isfinite(values)
    if NONE in table.space.operations:
        usable &= table.space.lacks(table.cells, NONE)
    rows = np.flatnonzero(usable)
    return rows, values[rows].astype(np.float32)


def _architectures(settings: Settings) -> tuple[dict[str, CellTable], dict[str, np.ndarray]]:
    cells: dict[str, CellTable] = {}
    labels: dict[str, np.ndarray] = {}
    for number, family in enumerate(TARGETS):
        table, rng = load_table(family), np.random.default_rng([settings.seed, 10 + number])
        values = table.values(_COLUMNS[family])
        if family == "nasbench101":
            rows = np.sort(rng.permutation(len(table))[: settings.nasbench101_graphs])
        elif family == "nasbench201":
            rows = np.flatnonzero(table.space.lacks(table.cells, NONE))
        else:
            rows = np.arange(len(table))
        cells[family], labels[family] = table.cells[rows], values[rows].astype(np.float32)
        if family == "nasbench301" and settings.nasbench301_graphs > len(rows):
            more = get_space(family).sample(settings.nasbench301_graphs - len(rows), rng)
            cells[family] = CellTable.concatenate([cells[family], more])
            labels[family] = np.append(labels[family], np.full(len(more), np.nan, np.float32))
    return cells, labels
