"""Table 3 of arch2vec: search on NAS-Bench-201 within a budget of training time, on three data sets, 500 runs.

The protocol is the paper's as its published programs run it: on CIFAR-10 a query trains for 12 epochs, elsewhere for
200; a search sees the validation accuracy of one training; what it finds best is reported with its validation accuracy
after 200 epochs, the mean over seeds, and its test accuracy.

References:
  Yan et al. 2020 (arch2vec), section 4.2 and table 3.
"""

import dataclasses
import functools
import itertools
import pathlib
from typing import Any

import numpy as np
import scipy.stats

from reproductions import processes, report
from reproductions.arch2vec import histories, searches
from reproductions.arch2vec.inputs import shipped
from reproductions.arch2vec.searches import Job
from reproductions.arch2vec.settings import Settings
from tfnas import runtime
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.table import CompactTable
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.reports import figures
from tfnas.search import Candidates, MakeStrategy, RandomSearch
from tfnas.search.additive import AdditiveSearch
from tfnas.search.bayesian import BayesianOptimization
from tfnas.search.categorical import CategoricalReinforce
from tfnas.search.evolution import RegularizedEvolution
from tfnas.search.forest import LatentForestSearch
from tfnas.search.reinforce import Reinforce

_MOST_QUERIES = 400
_SEARCH_LABEL = "search_label"


@dataclasses.dataclass(frozen=True)
class DataSet:
    """One column pair of the table.

    Attributes:
      name: name in the columns of the benchmark's table.
      epochs: epochs of the training behind a query.
      budget_seconds: simulated training time of every run.
    """

    name: str
    epochs: int
    budget_seconds: float


DATA_SETS = {
    data_set.name: data_set
    for data_set in (
        DataSet("cifar10", 12, 12_000.0),
        DataSet("cifar100", 200, 500_000.0),
        DataSet("imagenet16_120", 200, 1_400_000.0),
    )
}

_BO = functools.partial(BayesianOptimization, incumbent=1.0)
_RL = functools.partial(Reinforce, discount=0.4, baseline=0.4)
_METHODS: dict[str, tuple[str, MakeStrategy]] = {
    "random search": ("discrete", RandomSearch),
    "regularized evolution": ("discrete", RegularizedEvolution),
    "REINFORCE, discrete": ("discrete", CategoricalReinforce),
    "BO, discrete": ("discrete", _BO),
    "RL, supervised": ("supervised", _RL),
    "BO, supervised": ("supervised", _BO),
    "arch2vec-RL": ("latent", _RL),
    "arch2vec-BO": ("latent", functools.partial(_BO, batch=1, pool=4096)),
    "arch2vec-BO, best seen as incumbent": ("latent", BayesianOptimization),
    "arch2vec, forest (ours)": ("latent", LatentForestSearch),
    "arch2vec and graph features, additive process (ours)": ("latent", AdditiveSearch),
}
_PICKED = ", its model's pick"
_EVERYTHING = "all 15,625 cells asked"
_LABELLED = 40  # queries that train the encoder of a supervised method
_STRONGER = "arch2vec and graph features, additive process (ours)"
_PAPER = {
    "random search": ((90.94, 93.75), (72.17, 72.05), (45.47, 45.33)),
    "regularized evolution": ((91.08, 93.84), (73.02, 72.86), (45.78, 45.63)),
    "REINFORCE, discrete": ((91.03, 93.82), (72.35, 72.13), (45.58, 45.30)),
    "arch2vec-RL": ((91.32, 94.12), (73.13, 73.15), (46.22, 46.16)),
    "arch2vec-BO": ((91.41, 94.18), (73.35, 73.37), (46.34, 46.27)),
}


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment with the shipped encoder and the measured table, see `reproduce`."""
    load_table("nasbench201")  # processes start later, and their errors come later still
    return reproduce(shipped("nasbench201")[1], output_dir, runs=settings.runs, seed=settings.seed)


def reproduce(encoder: SavedCellEncoder, output_dir: pathlib.Path, *, runs: int, seed: int = 1) -> report.Report:
    """Runs every method and draws a figure per data set.

    Finished methods are kept under `output_dir/table3`, so that an interrupted experiment goes on.

    Args:
      encoder: encoder of NAS-Bench-201 cells.
      output_dir: an existing folder.
      runs: runs per method.
      seed: seed of the first run.

    Returns:
      The report; its values are, per data set and method, mean and deviation of both accuracies over runs, and the mean
      number of queries.
    """
    jobs = [
        job
        for data_set in DATA_SETS
        for job in searches.jobs(list(_METHODS), output_dir / "table3" / data_set, encoder.folder, runs, seed, data_set)
    ]
    results = dict(zip(jobs, processes.run(_search, jobs, "Table 3"), strict=True))
    values: dict[str, Any] = {"runs": runs, "seed": seed}
    for data_set in DATA_SETS:
        methods = {job.method: arrays for job, arrays in results.items() if job.data_set == data_set}
        values[data_set] = {name: _moments(arrays) for name, arrays in methods.items()}
        picked = {"validation": methods[_STRONGER]["picked_validation"], "test": methods[_STRONGER]["picked_test"]}
        values[data_set][_STRONGER + _PICKED] = _moments({**methods[_STRONGER], **picked})
        values[data_set][_EVERYTHING] = _moments(everything(_inputs(encoder.folder)[0], DATA_SETS[data_set]))
        values[data_set]["p_over_bo"] = _one_sided(methods[_STRONGER], methods["arch2vec-BO"])
        figures.search_curves(
            {name: arrays["trace"] for name, arrays in methods.items()},
            output_dir / f"table3_{data_set}.png",
            title=f"NAS-Bench-201, {data_set}, {runs} runs",
        )
    return _report(values)


def _moments(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """Means and deviations over the runs of a method."""
    return {
        f"{column}_{moment}": float(getattr(arrays[column], moment)())
        for column, moment in itertools.product(("validation", "test"), ("mean", "std"))
    } | {"queries_mean": float(arrays["queries"].mean())}


def everything(table: CompactTable, data_set: DataSet) -> dict[str, np.ndarray]:
    """What a search finds that asks for every cell: no search that hands over the best seen can count on more.

    Args:
      table: the NAS-Bench-201 table.
      data_set: data set of the search.

    Returns:
      Accuracies and number of queries of the single run, as `search` returns them.
    """
    rows = evaluator_of(table, data_set).scores.validation.argmax(keepdims=True)
    return _final(table, data_set, rows) | {"queries": np.array([len(table)])}


def _final(table: CompactTable, data_set: DataSet, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracies after the whole training of rows `[R]`: mean validation, and test."""
    return {name: table.values(f"{data_set.name}_{name}_accuracy_200")[rows] for name in ("validation", "test")}


def _search(job: Job) -> dict[str, np.ndarray]:
    return searches.results(job, lambda: _searched(job))


def _searched(job: Job) -> dict[str, np.ndarray]:
    processes.quiet(job.folder)
    return search(job, *_inputs(job.encoder))


@functools.cache
def _inputs(encoder: pathlib.Path) -> tuple[CompactTable, dict[str, Candidates]]:
    """Read once by every process: the table, and what discrete and latent methods choose from."""
    runtime.one_thread_per_operation()
    table = load_table("nasbench201")
    return table, candidates_of(table, SavedCellEncoder(encoder))


def candidates_of(table: CompactTable, encoder: SavedCellEncoder) -> dict[str, Candidates]:
    """The cells of the table with one-hot operations (`discrete`) and with embeddings (`latent`)."""
    cells = table.cells
    one_hot = cells.one_hot(len(table.space.operations))[:, 1:-1].reshape(len(cells), -1)
    return {
        "discrete": Candidates(table.space, cells, one_hot),
        "latent": Candidates(table.space, cells, encoder.embed(cells), encoder.latents(cells)),
    }


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


def search(job: Job, table: CompactTable, candidates: dict[str, Candidates]) -> dict[str, np.ndarray]:
    """All runs of one method on one data set.

    Args:
      job: method, data set and runs.
      table: the NAS-Bench-201 table.
      candidates: result of `candidates_of`.

    Returns:
      Per run the row of the best seen (`rows`), its `validation` and `test` accuracy after the whole training, those of
      the cell that the strategy's model picks (`picked_validation`, `picked_test`), the number of `queries` within the
      budget, and the `trace` of the best accuracy seen `[runs, queries]`.
    """
    data_set = DATA_SETS[job.data_set]
    evaluator = evaluator_of(table, data_set)
    bounds = {"queries": _MOST_QUERIES, "budget_seconds": data_set.budget_seconds}
    kind, make = _METHODS[job.method]
    if kind == "supervised":
        history = searches.supervised_search(make, job, evaluator, labelled=_LABELLED, **bounds)
    else:
        history = searches.search(make, candidates[kind], job, evaluator, **bounds)
    history = histories.within(history, data_set.budget_seconds)
    rows = history.at_best(history.rows)
    picked = np.take_along_axis(history.rows, history.picks[:, -1:], axis=1)[:, 0]
    best = np.maximum.accumulate(history.scores.validation, axis=1)
    queries = (history.scores.validation > 0).sum(axis=1)
    return {
        "rows": rows,
        **_final(table, data_set, rows),
        **{f"picked_{name}": values for name, values in _final(table, data_set, picked).items()},
        "queries": queries,
        "trace": best[:, : int(queries.min())],
    }


def _one_sided(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> dict[str, float]:
    """Probability of so large a lead of `first`, if there were none (Mann-Whitney)."""
    return {
        name: float(scipy.stats.mannwhitneyu(first[name], second[name], alternative="greater").pvalue)
        for name in ("validation", "test")
    }


def _report(values: dict[str, Any]) -> report.Report:
    rows = []
    for name in (*_METHODS, _STRONGER + _PICKED, _EVERYTHING):
        row = [name]
        for column, data_set in enumerate(DATA_SETS):
            result = values[data_set][name]
            published = " / ".join(f"{number:.2f}" for number in _PAPER[name][column]) if name in _PAPER else "-"
            row += [
                report.percent(result["validation_mean"], result["validation_std"]),
                report.percent(result["test_mean"], result["test_std"]),
                published,
            ]
        rows.append(row)
    columns = ["method"]
    for data_set in DATA_SETS:
        columns += [f"{data_set} validation %", "test %", "paper"]
    comparison = []
    for column, data_set in enumerate(DATA_SETS):
        result = values[data_set]["arch2vec-BO"]
        validation, test = _PAPER["arch2vec-BO"][column]
        better = values[data_set]["p_over_bo"]
        comparison.append(
            f"{data_set}: arch2vec-BO {100 * result['validation_mean']:.2f} / {100 * result['test_mean']:.2f} against "
            f"the paper's {validation} / {test}, after {result['queries_mean']:.0f} queries on average. The "
            f"additive process leads with p = {better['validation']:.2g} (validation), {better['test']:.2g} (test)."
        )
    return report.Report(
        title=f"Table 3: NAS-Bench-201, {values['runs']} runs, mean ± deviation",
        columns=columns,
        rows=rows,
        comparison=comparison,
        values=values,
    )
