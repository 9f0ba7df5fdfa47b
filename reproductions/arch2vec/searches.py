"""Searches of tables 2 and 3: many runs of a method, kept as a whole, in discrete, learned and supervised encodings.

Training a supervised encoder for each of 500 runs would take hours, so ten encoders serve all runs: the runs of a group
share their first queries, whose labels taught the encoder, and differ from there on.
"""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from reproductions import processes, report
from reproductions.arch2vec.histories import joined
from reproductions.arch2vec.supervised import SupervisedEncoder
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.search import Candidates, MakeStrategy, loop

_ENCODERS = 10


@dataclasses.dataclass(frozen=True)
class Job:
    """All runs of a method on a data set.

    Attributes:
      method: name of the method.
      folder: folder of the results; a finished job is not done again.
      encoder: folder of the arch2vec encoder.
      runs: number of runs.
      seed: seed of the first run.
      data_set: name of the data set, where a table has several.
    """

    method: str
    folder: pathlib.Path
    encoder: pathlib.Path
    runs: int
    seed: int
    data_set: str = ""

    @property
    def seeds(self) -> range:
        """A seed for every run."""
        return range(self.seed, self.seed + self.runs)


def results(job: Job, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of a job; a finished job is read from its folder, and the states of its searches are deleted."""
    arrays = report.computed_once(job.folder / "found.npz", compute)
    (job.folder / "state.npz").unlink(missing_ok=True)
    for group in range(_ENCODERS):
        shutil.rmtree(job.folder / str(group), ignore_errors=True)
    return arrays


def search(
    make: MakeStrategy,
    candidates: Candidates,
    job: Job,
    evaluator: TableEvaluator,
    *,
    queries: int,
    budget_seconds: float | None = None,
) -> loop.History:
    """Searches of all runs among candidates that are embedded already.

    Args:
      make: maker of the strategy.
      candidates: architectures to choose from.
      job: runs, and the folder of the search's state.
      evaluator: benchmark.
      queries: queries of each run.
      budget_seconds: simulated training time of each run; by default no bound.
    """
    strategy = make(candidates, job.seeds)
    with tqdm(desc=" ".join((job.data_set, job.method)), unit="query", unit_scale=True) as bar:
        return loop.run_search(strategy, evaluator, queries, job.folder, bar, budget_seconds=budget_seconds)


def supervised_search(
    make: MakeStrategy,
    job: Job,
    evaluator: TableEvaluator,
    *,
    labelled: int,
    queries: int,
    budget_seconds: float | None = None,
) -> loop.History:
    """Searches of all runs in the latent spaces of supervised encoders, in up to ten groups.

    Args:
      make: maker of the strategy.
      job: runs, and the folder of the searches' states.
      evaluator: benchmark; every row of its table is a candidate.
      labelled: random cells that an encoder learns from: the first queries of its runs.
      queries: queries of each run, the labelled cells among them.
      budget_seconds: simulated training time of each run; by default no bound.
    """
    table, learner = evaluator.table, SupervisedEncoder(evaluator.table.space)
    histories = []
    for number, seeds in enumerate(np.array_split(np.array(job.seeds), min(_ENCODERS, job.runs))):
        chosen = np.random.default_rng([int(seeds[0]), 7]).choice(len(table), labelled, replace=False)
        rows = np.tile(chosen, (len(seeds), 1))
        scores = evaluator.scores[rows]
        learner.fit(table.cells[chosen], scores.validation[0], int(seeds[0]))
        strategy = make(Candidates(table.space, table.cells, learner.embed(table.cells)), seeds.tolist())
        strategy.know(rows, scores.validation)
        with tqdm(desc=f"{job.method}, group {number}", unit="query") as bar:
            histories.append(
                loop.run_search(
                    strategy,
                    evaluator,
                    queries,
                    job.folder / str(number),
                    bar,
                    budget_seconds=budget_seconds,
                    known=scores,
                )
            )
    return joined(histories)


def jobs(
    methods: Sequence[str], folder: pathlib.Path, encoder: pathlib.Path, runs: int, seed: int, data_set: str = ""
) -> list[Job]:
    """A job for each method, each with a folder of its name."""
    return [Job(name, folder / processes.folder_name(name), encoder, runs, seed, data_set) for name in methods]
