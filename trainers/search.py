"""Searches for good architectures in the embedding space of an exported encoder.

  python -m trainers.search --encoder=saved_models/arch2vec_nasbench201 --strategy=bo,random --benchmark=digits \
      --queries=40 --runs=3 --output_dir=OUT

OUT gets results.json, results.md, summary.json, metrics.jsonl, every trial under OUT/runs, and three figures.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags

_ENCODER = flags.DEFINE_string("encoder", None, "Folder of an exported encoder.", required=True)
_EMBEDDINGS = flags.DEFINE_string("embeddings", None, "Table made by trainers.embed; by default computed here.")
_STRATEGY = flags.DEFINE_list("strategy", "bo", "One or more of random, evolution, reinforce, bo.")
_BENCHMARK = flags.DEFINE_enum("benchmark", "digits", ["digits"], "What scores an architecture.")
_QUERIES = flags.DEFINE_integer("queries", 40, "Architectures scored per run.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 1, "Independent runs per strategy.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first run; later runs count up.", lower_bound=0)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.search.experiment.compare`."""
    tfnas.runtime.one_thread_per_operation()

    from tfnas.benchmarks.digits import DigitsEvaluator
    from tfnas.encoders import saved, sources
    from tfnas.search import Candidates, check_strategies, experiment

    check_strategies(_STRATEGY.value)
    encoder = saved.SavedEncoder(_ENCODER.value)
    evaluator = DigitsEvaluator()
    evaluator.check_space(tfnas.spaces.get_space(encoder.manifest["space"]))
    if _EMBEDDINGS.value is None:
        space, cells = sources.cells_of(encoder.manifest["space"], None, 0, 0)
        encoder.check_space(space)
        values = encoder.embed(cells)
    else:
        space = tfnas.spaces.get_space(encoder.manifest["space"])
        cells, values = saved.read_embedding_table(_EMBEDDINGS.value, encoder)
    settings = {
        "program": "search",
        "encoder": encoder.fingerprint,
        "embeddings": _EMBEDDINGS.value,
        "benchmark": _BENCHMARK.value,
        "strategy": _STRATEGY.value,
        "queries": _QUERIES.value,
        "runs": _RUNS.value,
        "seed": _SEED.value,
    }
    output_dir = tfnas.artefacts.prepare_output_folder(
        flags.FLAGS.output_dir, settings, resume=flags.FLAGS.resume, overwrite=flags.FLAGS.overwrite
    )
    experiment.compare(
        _STRATEGY.value,
        Candidates(space, cells, values),
        evaluator,
        output_dir,
        queries=_QUERIES.value,
        runs=_RUNS.value,
        seed=_SEED.value,
        benchmark=_BENCHMARK.value,
    )


if __name__ == "__main__":
    tfnas_flags.run(main)
