"""How well DNGO predicts Digits-201 from 30 and 100 random cells, for several lengths of training.

  python perf/dngo.py

Rank correlation of predicted and true validation accuracy over all 15,625 cells: mean and standard error of 32 samples.
"""

import itertools

import numpy as np
import scipy.stats

import tfnas
from tfnas.benchmarks.registry import table_benchmark
from tfnas.encoders.saved import open_encoder
from tfnas.predictors.dngo import DNGO
from tfnas.search import Candidates

SAMPLES = 32
SETTINGS = ((100, 1e-2), (30, 1e-2), (10, 1e-2), (100, 1e-3), (30, 1e-3))


def main() -> None:
    tfnas.runtime.one_thread_per_operation()
    evaluator = table_benchmark("digits201")
    truth = evaluator.scores.validation
    embeddings = open_encoder(None, evaluator.space).embed(evaluator.table.cells)
    inputs = Candidates(evaluator.space, evaluator.table.cells, embeddings).standardised
    for count, (epochs, learning_rate) in itertools.product((30, 100), SETTINGS):
        rows = np.stack(
            [np.random.default_rng(seed).choice(len(truth), count, replace=False) for seed in range(SAMPLES)]
        )
        model = DNGO(epochs=epochs, learning_rate=learning_rate, seed=list(range(SAMPLES)))
        model.fit(inputs[rows], truth[rows])
        found = [scipy.stats.spearmanr(model.predict(inputs, run)[0], truth).statistic for run in range(SAMPLES)]
        error = np.std(found) / np.sqrt(SAMPLES)
        print(f"{count} cells, {epochs} epochs at {learning_rate}: {np.mean(found):.3f} ± {error:.3f}")


if __name__ == "__main__":
    main()
