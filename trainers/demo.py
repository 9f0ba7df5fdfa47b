"""Pretrains, exports, embeds, searches with real trainings, and hands over the network that it found.

tfnas demo --output_dir=demo_output
"""

import dataclasses
import textwrap
import time

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.encoders.arch2vec.config import PRESETS
from tfnas.search import DEFAULT_STRATEGY
from tfnas.spaces import NASBench201

_EPOCHS = flags.DEFINE_integer("epochs", 5, "Pretraining epochs.", lower_bound=1)
_QUERIES = flags.DEFINE_integer("queries", 24, "Networks trained per run and strategy.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 4, "Independent search runs per strategy.", lower_bound=1)
_TABLE_RUNS = flags.DEFINE_integer("table_runs", 40, "Runs per strategy where trainings are looked up.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
tfnas_flags.define_output()

_TABLE_QUERIES = 100


def main() -> None:
    """Flags -> arch2vec on the 15,625 NAS-Bench-201 cells, two comparisons of strategies, and a trained network."""
    started = time.monotonic()
    tfnas.runtime.one_thread_per_operation()

    from tfnas.benchmarks import BENCHMARKS
    from tfnas.encoders.arch2vec import saved
    from tfnas.encoders.arch2vec.task import Arch2VecPretraining
    from tfnas.search import experiment, strategies

    settings = {
        "program": "demo",
        **{flag.name: flag.value for flag in (_EPOCHS, _QUERIES, _RUNS, _TABLE_RUNS, _SEED)},
        "config": dataclasses.asdict(PRESETS["tfnas"]),
    }
    output_dir = tfnas_flags.output_folder(settings)
    for name in ("pretrain", "embed", "search", "digits201"):
        (output_dir / name).mkdir(exist_ok=True)
    space = NASBench201()
    cells = space.enumerate()
    print("1/5  Pretraining arch2vec on 15,625 NAS-Bench-201 cells, without any accuracy")
    pretraining = Arch2VecPretraining(PRESETS["tfnas"], space, cells)
    summary = pretraining.run(
        output_dir / "pretrain", epochs=_EPOCHS.value, seed=_SEED.value, resume=flags.FLAGS.resume
    )
    accuracy, validity = summary["reconstruction_accuracy"], summary["validity"]
    print(f"     held-out cells reconstructed: {accuracy:.2%}; prior samples that are valid cells: {validity:.2%}")
    print("2/5  Embedding the whole space with the exported SavedModel")
    encoder = saved.SavedCellEncoder(output_dir / "pretrain" / "encoder")
    saved.embed_cells(encoder, space, cells, output_dir / "embed")
    print("3/5  Searching; every query trains its network on scikit-learn's digits")
    digits = BENCHMARKS["digits"].evaluator()
    candidates = experiment.candidates_of(digits, encoder, output_dir / "embed" / "embeddings")
    comparison = experiment.compare(
        strategies([DEFAULT_STRATEGY, "random"]),
        candidates,
        digits,
        queries=_QUERIES.value,
        runs=_RUNS.value,
        seed=_SEED.value,
        folder=output_dir / "search",
    )
    comparison.save(output_dir / "search")
    print(comparison)
    print("4/5  The same trainings, looked up in a table: more runs, more strategies")
    table = experiment.compare(
        strategies([DEFAULT_STRATEGY, "evolution", "random"]),
        candidates,
        BENCHMARKS["digits201"].evaluator(),
        queries=_TABLE_QUERIES,
        runs=_TABLE_RUNS.value,
        seed=_SEED.value,
        folder=output_dir / "digits201",
    )
    table.save(output_dir / "digits201")
    print(table)
    print("5/5  Training the best architecture of step 3 on the training and validation images together")
    print(textwrap.indent(comparison.best.hand_over(digits, output_dir / "best_model"), "     "), end="")
    print(f"     curves: {output_dir}/digits201/search.png; map of the queries: {output_dir}/search/map.png")
    print(f"The demo took {time.monotonic() - started:.0f} s.\n\n{table.conclusion()}")


if __name__ == "__main__":
    tfnas_flags.run(main)
