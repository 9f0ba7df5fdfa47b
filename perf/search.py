"""How the cost of the default strategy grows with queries, candidates and runs, beside the forest, on Digits-201.

  python -m perf.search

Processor seconds per run, without reading the table and embedding it; every row is measured twice, in turn.
"""

import itertools
import time

import numpy as np

import tfnas
from tfnas.benchmarks import BENCHMARKS
from tfnas.encoders.arch2vec.saved import open_encoder
from tfnas.reports import tables
from tfnas.search import Candidates, experiment, strategies

ROUNDS = 2
CASES = (  # queries, candidates, runs
    *((queries, 15_625, 8) for queries in (50, 100, 150)),
    *((100, candidates, 8) for candidates in (1_000, 4_000)),
    *((100, 15_625, runs) for runs in (1, 4, 16)),
)
NAMES = ("additive", "forest")


def main() -> None:
    tfnas.runtime.one_thread_per_operation()
    evaluator = BENCHMARKS["digits201"].evaluator()
    cells = evaluator.table.cells
    encoder = open_encoder(None, evaluator.space)
    embeddings, latents = encoder.embed(cells), encoder.latents(cells)
    order = np.random.default_rng(0).permutation(len(cells))
    seconds: dict[tuple[int, int, int], dict[str, list[float]]] = {case: {name: [] for name in NAMES} for case in CASES}
    for _, case, name in itertools.product(range(ROUNDS), CASES, NAMES):
        queries, count, runs = case
        rows = np.sort(order[:count])
        candidates = Candidates(evaluator.space, cells[rows], embeddings[rows], latents[rows])
        started = time.process_time()
        experiment.compare(strategies([name]), candidates, evaluator, queries=queries, runs=runs, seed=1)
        seconds[case][name].append((time.process_time() - started) / runs)
    table = []
    for (queries, count, runs), measured in seconds.items():
        means = [np.mean(measured[name]) for name in NAMES]
        table.append(
            [f"{queries}", f"{count:,}", f"{runs}", *(f"{mean:.2f}" for mean in means), f"{means[0] / means[1]:.2f}"]
        )
    columns = ["queries", "candidates", "runs", *(f"{name}, seconds per run" for name in NAMES), "ratio"]
    print(tables.markdown(columns, table))


if __name__ == "__main__":
    main()
