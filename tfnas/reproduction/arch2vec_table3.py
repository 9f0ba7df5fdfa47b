"""Table 3 of arch2vec: search on NAS-Bench-201 within a budget of training time, on three data sets, 500 runs.

The protocol is the paper's as its published programs run it: on CIFAR-10 a query trains for 12 epochs, elsewhere for
200; a search sees the validation accuracy of one training; what it finds best is reported with its validation accuracy
after 200 epochs, the mean over seeds, and its test accuracy.

References:
  Yan et al. 2020 (arch2vec), section 4.2 and table 3.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.stats
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks.evaluators import TableEvaluator
from tfnas.benchmarks.table import CompactTable
from tfnas.encoders.saved import SavedEncoder
from tfnas.reports import figures
from tfnas.reproduction import report
from tfnas.search import BayesianOptimization, Candidates, LatentLocalSearch, RandomSearch, RegularizedEvolution, loop
from tfnas.search.base import Strategy
from tfnas.search.categorical import CategoricalReinforce
from tfnas.search.reinforce import Reinforce

_MOST_QUERIES = 400
_SEARCH_LABEL = "search_label"


@dataclasses.dataclass(frozen=True)
class DataSet:
    """One column pair of the table.

    Attributes:
      name: in the columns of the benchmark's table.
      epochs: of the training behind a query.
      budget_seconds: of every run.
    """

    name: str
    epochs: int
    budget_seconds: float


DATA_SETS = (
    DataSet("cifar10", 12, 12_000.0),
    DataSet("cifar100", 200, 500_000.0),
    DataSet("imagenet16_120", 200, 1_400_000.0),
)

Make = Callable[[Candidates, Sequence[int]], Strategy]
_DISCRETE: dict[str, Make] = {
    "random search": RandomSearch,
    "regularized evolution": RegularizedEvolution,
    "REINFORCE, discrete": CategoricalReinforce,
    "BO, discrete": functools.partial(BayesianOptimization, incumbent=1.0),
}
_LATENT: dict[str, Make] = {
    "arch2vec-RL": functools.partial(Reinforce, discount=0.4, baseline=0.4),
    "arch2vec-BO": functools.partial(BayesianOptimization, incumbent=1.0),
    "arch2vec-BO, best seen as incumbent": BayesianOptimization,
    "arch2vec, local search (ours)": LatentLocalSearch,
}
_PAPER = {
    "random search": ((90.94, 93.75), (72.17, 72.05), (45.47, 45.33)),
    "regularized evolution": ((91.08, 93.84), (73.02, 72.86), (45.78, 45.63)),
    "REINFORCE, discrete": ((91.03, 93.82), (72.35, 72.13), (45.58, 45.30)),
    "arch2vec-RL": ((91.32, 94.12), (73.13, 73.15), (46.22, 46.16)),
    "arch2vec-BO": ((91.41, 94.18), (73.35, 73.37), (46.34, 46.27)),
}


def run(
    table: CompactTable, encoder: SavedEncoder, output_dir: pathlib.Path, *, runs: int = 500, seed: int = 1
) -> dict[str, Any]:
    """Runs every method and writes `table3.md`, `table3.json` and a figure per data set.

    Finished methods are kept under `output_dir/table3`, so that an interrupted experiment goes on.

    Args:
      table: the NAS-Bench-201 table.
      encoder: of NAS-Bench-201 cells.
      output_dir: an existing folder.
      runs: per method.
      seed: of the first run.

    Returns:
      Per data set and method: mean and deviation of both accuracies over runs, mean number of queries.
    """
    cells = table.cells
    one_hot = cells.one_hot(len(table.space.operations))[:, 1:-1].reshape(len(cells), -1)
    spaces = {
        "discrete": Candidates(table.space, cells, one_hot),
        "latent": Candidates(table.space, cells, encoder.embed(cells)),
    }
    methods = [(name, make, spaces["discrete"]) for name, make in _DISCRETE.items()]
    methods += [(name, make, spaces["latent"]) for name, make in _LATENT.items()]
    values: dict[str, Any] = {"runs": runs, "seed": seed}
    with tqdm(total=len(methods) * len(DATA_SETS), desc="Table 3", unit="method") as bar:
        for data_set in DATA_SETS:
            evaluator = evaluator_of(table, data_set)
            found: dict[str, dict[str, np.ndarray]] = {}
            for name, make, candidates in methods:
                folder = output_dir / "table3" / data_set.name / name.replace(" ", "_")
                found[name] = _finished_or_run(folder, make, candidates, evaluator, data_set, table, runs, seed)
                bar.update(1)
            values[data_set.name] = {
                name: {
                    "validation_mean": float(part["validation"].mean()),
                    "validation_std": float(part["validation"].std()),
                    "test_mean": float(part["test"].mean()),
                    "test_std": float(part["test"].std()),
                    "queries_mean": float(part["queries"].mean()),
                }
                for name, part in found.items()
            }
            better = _one_sided(found["arch2vec, local search (ours)"], found["arch2vec-BO"])
            values[data_set.name]["p_local_over_bo"] = better
            figures.search_curves(
                {name: part["trace"] for name, part in found.items()},
                output_dir / f"table3_{data_set.name}.png",
                title=f"NAS-Bench-201, {data_set.name}, {runs} runs",
            )
    _write(output_dir, values, [name for name, *_ in methods])
    return values


def evaluator_of(table: CompactTable, data_set: DataSet) -> TableEvaluator:
    """What a search sees: the validation accuracy of one training of `epochs` epochs, at its cost."""
    label = table.columns[f"{data_set.name}_validation_accuracy_{data_set.epochs}"]
    columns = {**table.columns, _SEARCH_LABEL: label if label.ndim == 1 else label[:, 0]}
    return TableEvaluator(
        dataclasses.replace(table, columns=columns),
        _SEARCH_LABEL,
        f"{data_set.name}_test_accuracy_200",
        f"{data_set.name}_training_seconds_200",
        data_set.epochs / 200,
    )


def _finished_or_run(
    folder: pathlib.Path,
    make: Make,
    candidates: Candidates,
    evaluator: TableEvaluator,
    data_set: DataSet,
    table: CompactTable,
    runs: int,
    seed: int,
) -> dict[str, np.ndarray]:
    path = folder / "found.npz"
    if path.exists():
        return artefacts.read_npz(path)
    strategy = make(candidates, range(seed, seed + runs))
    with tqdm(total=None, desc=f"  {data_set.name}, {folder.name}", unit="query", unit_scale=True, leave=False) as bar:
        history = loop.run_search(
            strategy, evaluator, _MOST_QUERIES, folder, bar, budget_seconds=data_set.budget_seconds
        ).within(data_set.budget_seconds)
    rows = history.at_best(history.rows)
    best = np.maximum.accumulate(history.scores.validation, axis=1)
    queries = (history.scores.validation > 0).sum(axis=1)
    found = {
        "rows": rows,
        "validation": table.values(f"{data_set.name}_validation_accuracy_200")[rows],
        "test": table.values(f"{data_set.name}_test_accuracy_200")[rows],
        "queries": queries,
        "trace": best[:, : int(queries.min())],
    }
    artefacts.write_npz(path, **found)
    (folder / "state.npz").unlink(missing_ok=True)
    return found


def _one_sided(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, float]:
    """Probability of so large a lead of `first`, if there were none (Mann-Whitney)."""
    return {
        name: float(scipy.stats.mannwhitneyu(first[name], second[name], alternative="greater").pvalue)
        for name in ("validation", "test")
    }


def _write(output_dir: pathlib.Path, values: dict[str, Any], names: list[str]) -> None:
    rows = []
    for name in names:
        row = [name]
        for place, data_set in enumerate(DATA_SETS):
            part = values[data_set.name][name]
            published = " / ".join(f"{number:.2f}" for number in _PAPER[name][place]) if name in _PAPER else "-"
            row += [
                report.percent(part["validation_mean"], part["validation_std"]),
                report.percent(part["test_mean"], part["test_std"]),
                published,
            ]
        rows.append(row)
    columns = ["method"]
    for data_set in DATA_SETS:
        columns += [f"{data_set.name} validation %", "test %", "paper"]
    comparison = []
    for place, data_set in enumerate(DATA_SETS):
        part = values[data_set.name]["arch2vec-BO"]
        validation, test = _PAPER["arch2vec-BO"][place]
        better = values[data_set.name]["p_local_over_bo"]
        comparison.append(
            f"{data_set.name}: arch2vec-BO {100 * part['validation_mean']:.2f} / {100 * part['test_mean']:.2f} against "
            f"the paper's {validation} / {test}, after {part['queries_mean']:.0f} queries on average. Local search "
            f"leads with p = {better['validation']:.2g} (validation), {better['test']:.2g} (test)."
        )
    report.write(
        output_dir,
        "table3",
        title=f"Table 3: NAS-Bench-201, {values['runs']} runs, mean ± deviation",
        columns=columns,
        rows=rows,
        comparison=comparison,
        values=values,
    )
