"""What the encoder adds to the default strategy: the search with all features, without latents, and with latents alone.

  python -m perf.search_blocks BENCHMARK RUNS [ENCODER ...]

BENCHMARK is a name that `tfnas search --benchmark` takes, such as digits201. Every further ENCODER, the folder of an
exported arch2vec encoder, adds a search with the latents of that encoder alone. Prints mean validation and test
accuracies after 20, 50, 100 and 150 queries, and p that the runs beat those of regularized evolution (one-sided
Mann-Whitney).
"""

import functools
import sys

import tfnas
from tfnas.benchmarks import BENCHMARKS
from tfnas.reports import tables
from tfnas.search import STRATEGIES, experiment, loop
from tfnas.search.comparison import MILESTONES, Comparison

WITHOUT = ("operations", "paths", "graph")


def main(benchmark: str, runs: int, encoders: list[str]) -> None:
    tfnas.runtime.one_thread_per_operation()
    evaluator = BENCHMARKS[benchmark].evaluator()
    additive = STRATEGIES["additive"]
    latents = functools.partial(additive, blocks=["latents"])
    makers = {
        "all features": additive,
        "without latents": functools.partial(additive, blocks=WITHOUT),
        "latents alone": latents,
        "evolution": STRATEGIES["evolution"],
    }
    histories: dict[str, loop.History] = {}
    for folder in [None, *encoders]:
        candidates = experiment.candidates_of(evaluator, experiment.encoder_of(evaluator, folder))
        chosen = makers if folder is None else {f"latents of {folder} alone": latents}
        histories |= experiment.compare(
            chosen, candidates, evaluator, queries=max(MILESTONES), runs=runs, seed=1
        ).histories
    comparison = Comparison(candidates, histories, seed=1, benchmark=benchmark)
    rows = []
    for name, history in histories.items():
        for score in ("mean_validation", "test"):
            trace = 100 * history.trace(score)
            cells = []
            for count in MILESTONES:
                p = (
                    ""
                    if name == "evolution"
                    else f" (p {comparison.significance(name, score, count)['evolution']:.1g})"
                )
                cells.append(f"{trace[:, count - 1].mean():.2f}{p}")
            rows.append([name, score.replace("_", " "), *cells])
    print(tables.markdown(["features", "mean %", *(f"{count} queries" for count in MILESTONES)], rows))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
