"""Pretrains, exports, embeds and searches; each query trains a real network.

tfnas demo --output_dir=demo_output
"""

import dataclasses
import time

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.encoders.arch2vec.config import PRESETS
from tfnas.spaces import NASBench201

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Pretraining epochs.", lower_bound=1)
_QUERIES = flags.DEFINE_integer("queries", 50, "Networks trained per run and strategy.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 5, "Independent search runs per strategy.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Decides everything random.", lower_bound=0)
tfnas_flags.define_output()


def main() -> None:
    """Pretrains on the 15,625 NAS-Bench-201 cells and compares latent Bayesian optimisation with random search."""
    started = time.monotonic()
    tfnas.runtime.one_thread_per_operation()

    from tfnas.benchmarks import BENCHMARKS
    from tfnas.encoders.arch2vec import saved
    from tfnas.encoders.arch2vec.task import Arch2VecPretraining
    from tfnas.search import Candidates, experiment, strategies

    settings = {
        "program": "demo",
        "epochs": _EPOCHS.value,
        "queries": _QUERIES.value,
        "runs": _RUNS.value,
        "seed": _SEED.value,
        "config": dataclasses.asdict(PRESETS["tfnas"]),
    }
    output_dir = tfnas_flags.output_folder(settings)
    for name in ("pretrain", "embed", "search", "digits201"):
        (output_dir / name).mkdir(exist_ok=True)
    space = NASBench201()
    cells = space.enumerate()
    print("1/4  Pretraining arch2vec on 15,625 NAS-Bench-201 cells, without any accuracy")
    pretraining = Arch2VecPretraining(PRESETS["tfnas"], space, cells)
    summary = pretraining.run(
        output_dir / "pretrain", epochs=_EPOCHS.value, seed=_SEED.value, resume=flags.FLAGS.resume
    )
    accuracy, validity = summary["reconstruction_accuracy"], summary["validity"]
    print(f"     held-out cells reconstructed: {accuracy:.2%}; prior samples that are valid cells: {validity:.2%}")
    print("2/4  Embedding the whole space with the exported SavedModel")
    encoder = saved.SavedCellEncoder(output_dir / "pretrain" / "encoder")
    saved.embed_cells(encoder, space, cells, output_dir / "embed")
    table = saved.read_embedding_table(output_dir / "embed" / "embeddings", encoder)
    candidates = Candidates(space, *table)
    print("3/4  Searching; every query trains its network on scikit-learn's digits")
    comparison = experiment.compare(
        strategies(["bo", "random"]),
        candidates,
        BENCHMARKS["digits"].evaluator(),
        queries=_QUERIES.value,
        runs=_RUNS.value,
        seed=_SEED.value,
        folder=output_dir / "search",
    )
    comparison.save(output_dir / "search")
    print(comparison.table())
    print("4/4  The same comparison over 100 runs on Digits-201, where the trainings are in a table")
    comparison = experiment.compare(
        strategies(["bo", "evolution", "random"]),
        candidates,
        BENCHMARKS["digits201"].evaluator(),
        queries=100,
        runs=100,
        seed=_SEED.value,
        folder=output_dir / "digits201",
    )
    comparison.save(output_dir / "digits201")
    print(comparison.table())
    seconds = time.monotonic() - started
    print(f"Tables and figures are in {output_dir}/search and {output_dir}/digits201. The demo took {seconds:.0f} s.")


if __name__ == "__main__":
    tfnas_flags.run(main)
