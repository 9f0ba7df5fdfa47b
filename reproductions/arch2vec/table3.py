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
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.stats
from tqdm import tqdm

from reproductions import processes, report
from reproductions.arch2vec import supervised_search
from reproductions.arch2vec.inputs import shipped
from reproductions.arch2vec.settings import Settings
from reproductions.arch2vec.supervised import SupervisedEncoder
from tfnas import artefacts, runtime
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.table import CompactTable
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.encoders.saved import SavedEncoder
from tfnas.reports import figures
from tfnas.search import (
    BayesianOptimization,
    Candidates,
    LatentForestSearch,
    RandomSearch,
    RegularizedEvolution,
    loop,
)
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
    "arch2vec-BO": functools.partial(BayesianOptimization, incumbent=1.0, batch=1, pool=4096),
    "arch2vec-BO, best seen as incumbent": BayesianOptimization,
    "arch2vec, forest (ours)": LatentForestSearch,
}
_SUPERVISED: dict[str, Make] = {
    "RL, supervised": _LATENT["arch2vec-RL"],
    "BO, supervised": functools.partial(BayesianOptimization, incumbent=1.0),
}
_LABELLED = 40  # queries that train the encoder of a supervised method
_STRONGER = "arch2vec, forest (ours)"
_PAPER = {
    "random search": ((90.94, 93.75), (72.17, 72.05), (45.47, 45.33)),
    "regularized evolution": ((91.08, 93.84), (73.02, 72.86), (45.78, 45.63)),
    "REINFORCE, discrete": ((91.03, 93.82), (72.35, 72.13), (45.58, 45.30)),
    "arch2vec-RL": ((91.32, 94.12), (73.13, 73.15), (46.22, 46.16)),
    "arch2vec-BO": ((91.41, 94.18), (73.35, 73.37), (46.34, 46.27)),
}


@dataclasses.dataclass(frozen=True)
class Job:
    """All runs of one method on one data set.

    Attributes:
      method: its name.
      data_set: of the benchmark.
      folder: where; a finished job is not done again.
      encoder: folder of the arch2vec encoder.
      runs: how many.
      seed: of the first run.
    """

    method: str
    data_set: DataSet
    folder: str
    encoder: str
    runs: int
    seed: int


def run(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    """Runs the experiment with the shipped encoder and the measured table, see `reproduce`."""
    load_table("nasbench201")  # processes start later, and their errors come later still
    return reproduce(shipped("nasbench201")[1], output_dir, runs=settings.runs, seed=settings.seed)


def reproduce(encoder: SavedEncoder, output_dir: pathlib.Path, *, runs: int, seed: int = 1) -> dict[str, Any]:
    """Runs every method and writes `table3.md`, `table3.json` and a figure per data set.

    Finished methods are kept under `output_dir/table3`, so that an interrupted experiment goes on.

    Args:
      encoder: of NAS-Bench-201 cells.
      output_dir: an existing folder.
      runs: per method.
      seed: of the first run.

    Returns:
      Per data set and method: mean and deviation of both accuracies over runs, mean number of queries.
    """
    names = [*_DISCRETE, *_SUPERVISED, *_LATENT]
    jobs = [
        Job(
            name,
            data_set,
            str(output_dir / "table3" / data_set.name / processes.folder_name(name)),
            str(encoder.folder),
            runs,
            seed,
        )
        for data_set in DATA_SETS
        for name in names
    ]
    results = dict(zip(jobs, processes.run(_search, jobs, "Table 3"), strict=True))
    values: dict[str, Any] = {"runs": runs, "seed": seed}
    for data_set in DATA_SETS:
        found = {job.method: part for job, part in results.items() if job.data_set == data_set}
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
        values[data_set.name]["p_forest_over_bo"] = _one_sided(found[_STRONGER], found["arch2vec-BO"])
        figures.search_curves(
            {name: part["trace"] for name, part in found.items()},
            output_dir / f"table3_{data_set.name}.png",
            title=f"NAS-Bench-201, {data_set.name}, {runs} runs",
        )
    _write(output_dir, values, names)
    return values


def _search(job: Job) -> dict[str, np.ndarray]:
    folder = pathlib.Path(job.folder)
    if (folder / "found.npz").exists():
        return artefacts.read_npz(folder / "found.npz")
    processes.quiet(folder)
    return search(job, *_inputs(job.encoder))


@functools.cache
def _inputs(encoder: str) -> tuple[CompactTable, dict[str, Candidates]]:
    """Read once by every process: the table, and what discrete and latent methods choose from."""
    runtime.one_thread_per_operation()
    table = load_table("nasbench201")
    return table, candidates_of(table, SavedEncoder(encoder))


def candidates_of(table: CompactTable, encoder: SavedEncoder) -> dict[str, Candidates]:
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
      job: which.
      table: the NAS-Bench-201 table.
      candidates: see `candidates_of`.

    Returns:
      Per run the row that was found (`rows`), its `validation` and `test` accuracy after the whole training, the number
      of `queries` within the budget, and the `trace` of the best accuracy seen `[runs, queries]`.
    """
    folder, data_set = pathlib.Path(job.folder), job.data_set
    seeds = range(job.seed, job.seed + job.runs)
    evaluator = evaluator_of(table, data_set)
    budget = data_set.budget_seconds
    if job.method in _SUPERVISED:
        learner = SupervisedEncoder(table.space)
        make = _SUPERVISED[job.method]
        histories = supervised_search.run(
            make, seeds, evaluator, learner, folder, labelled=_LABELLED, queries=_MOST_QUERIES, budget_seconds=budget
        )
    else:
        kind, make = ("discrete", _DISCRETE) if job.method in _DISCRETE else ("latent", _LATENT)
        strategy = make[job.method](candidates[kind], seeds)
        with tqdm(desc=f"{data_set.name}, {job.method}", unit="query", unit_scale=True) as bar:
            histories = [loop.run_search(strategy, evaluator, _MOST_QUERIES, folder, bar, budget_seconds=budget)]
    history = loop.History.joined(histories).within(budget)
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
    artefacts.write_npz(folder / "found.npz", **found)
    (folder / "state.npz").unlink(missing_ok=True)
    for group in range(supervised_search.ENCODERS):
        shutil.rmtree(folder / str(group), ignore_errors=True)
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
        better = values[data_set.name]["p_forest_over_bo"]
        comparison.append(
            f"{data_set.name}: arch2vec-BO {100 * part['validation_mean']:.2f} / {100 * part['test_mean']:.2f} against "
            f"the paper's {validation} / {test}, after {part['queries_mean']:.0f} queries on average. The forest "
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
