"""Searches in the latent space of a supervised encoder, whose labels are queries like all others.

Training an encoder for each of 500 runs would take hours, so that ten encoders serve them all: the runs of a group
share their first queries, which taught the encoder, and differ from there on.
"""

import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from reproductions.arch2vec.supervised import SupervisedEncoder
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.search import Candidates, Strategy, loop

ENCODERS = 10


def run(
    make: Callable[[Candidates, Sequence[int]], Strategy],
    seeds: Sequence[int],
    evaluator: TableEvaluator,
    learner: SupervisedEncoder,
    folder: pathlib.Path,
    *,
    labelled: int,
    queries: int,
    budget_seconds: float | None = None,
) -> list[loop.History]:
    """Searches of all runs, in up to ten groups.

    Args:
      make: gives the strategy.
      seeds: one for each run.
      evaluator: the benchmark; every row of its table is a candidate.
      learner: trains the encoders, one after the other.
      folder: of the searches' states.
      labelled: random cells that an encoder learns from: the first queries of its runs.
      queries: of each run, these included.
      budget_seconds: see `loop.run_search`.

    Returns:
      A history for each group.
    """
    table = evaluator.table
    histories = []
    for number, group in enumerate(np.array_split(np.array(seeds), min(ENCODERS, len(seeds)))):
        chosen = np.random.default_rng([int(group[0]), 7]).choice(len(table), labelled, replace=False)
        rows = np.tile(chosen, (len(group), 1))
        scores = evaluator.scores[rows]
        learner.fit(table.cells[chosen], scores.validation[0], int(group[0]))
        strategy = make(Candidates(table.space, table.cells, learner.embed(table.cells)), group.tolist())
        strategy.know(rows, scores.validation)
        with tqdm(desc=f"{strategy.name}, supervised, group {number}", unit="query") as bar:
            histories.append(
                loop.run_search(
                    strategy,
                    evaluator,
                    queries,
                    folder / str(number),
                    bar,
                    budget_seconds=budget_seconds,
                    known=scores,
                )
            )
    return histories
