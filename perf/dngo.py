"""How well DNGO predicts Digits-201 from 30 and 100 random cells, for several widths and lengths of training.

  python -m perf.dngo

Rank correlation of predicted and true validation accuracy over all 15,625 cells: mean and standard error of 32 samples;
and the processor time of fitting all samples once compiled.
"""

import itertools
import time

import numpy as np
import scipy.stats

import tfnas
from tfnas.benchmarks import BENCHMARKS
from tfnas.encoders.arch2vec.saved import open_encoder
from tfnas.predictors.dngo import DNGO
from tfnas.search import Candidates

SAMPLES = 32
SETTINGS = ((128, 100, 1e-2), (128, 30, 1e-2), (128, 30, 1e-3), (128, 10, 3e-3), (64, 10, 3e-3), (32, 10, 3e-3))


def main() -> None:
    tfnas.runtime.one_thread_per_operation()
    evaluator = BENCHMARKS["digits201"].evaluator()
    truth = evaluator.scores.validation
    embeddings = open_encoder(None, evaluator.space).embed(evaluator.table.cells)
    inputs = Candidates(evaluator.space, evaluator.table.cells, embeddings).standardised
    for count, (units, epochs, learning_rate) in itertools.product((30, 100), SETTINGS):
        rows = np.stack(
            [np.random.default_rng(seed).choice(len(truth), count, replace=False) for seed in range(SAMPLES)]
        )
        model = DNGO(units, epochs, learning_rate=learning_rate, seed=list(range(SAMPLES)))
        model.fit(inputs[rows], truth[rows])  # compiles
        started = time.process_time()
        model.fit(inputs[rows], truth[rows])
        seconds = time.process_time() - started
        correlations = [scipy.stats.spearmanr(model.predict(inputs, run)[0], truth).statistic for run in range(SAMPLES)]
        error = np.std(correlations) / np.sqrt(SAMPLES)
        print(
            f"{count} cells, {units} units, {epochs} epochs at {learning_rate}: "
            f"{np.mean(correlations):.3f} ± {error:.3f}, {seconds:.2f} s"
        )


if __name__ == "__main__":
    main()
