"""Searches for good architectures in the embedding space of an exported encoder.

  python -m trainers.search --strategy=random,evolution,reinforce,bo --benchmark=digits201 --runs=500 --queries=150 \
      --output_dir=OUT
  python -m trainers.search --benchmark=trained --data=images.npz --queries=40 --output_dir=OUT
  python -m trainers.search --benchmark=darts --data=cifar10.npz --embeddings=TABLE --queries=100 --output_dir=OUT
  python -m trainers.search --strategy=evolution --guide=predictor --benchmark=nasbench201_cifar10 --output_dir=OUT
  python -m trainers.search --strategy=evolution --guide=predictor --benchmark=function --space=mobilenetv3 \
      --accuracy=my_module:accuracy --output_dir=OUT

Benchmarks: `digits201` ships with tfnas; `digits` trains the same networks when asked; `trained` and `darts` train
NAS-Bench-201 and DARTS cells on your images, the latter by default as arch2vec does; the others look for their table
in the folder TFNAS_DATA_DIR; `table` takes any compact table; `function` asks a function of yours, in any space, by
guided evolution. With --guide, `evolution` picks its children by a predictor fitted to the run's own queries, or by a
proxy: parameters, multiply_adds, or a score of a file that trainers.score_proxies wrote. OUT gets results.json,
results.md, summary.json, metrics.jsonl, every query under OUT/strategies, and three figures.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.benchmarks import BENCHMARKS

_ENCODER = flags.DEFINE_string("encoder", None, "Folder of an exported encoder; by default the shipped arch2vec.")
_EMBEDDINGS = flags.DEFINE_string("embeddings", None, "Table made by trainers.embed; by default computed here.")
_STRATEGY = flags.DEFINE_list("strategy", "bo", "One or more of random, evolution, reinforce, bo, local, forest.")
_BENCHMARK = flags.DEFINE_enum("benchmark", "digits", list(BENCHMARKS), "What scores an architecture.")
_GUIDE = flags.DEFINE_enum("guide", "none", ("none", "predictor", "proxy"), "What picks the children of evolution.")
_LABELS = flags.DEFINE_integer("labels", 20, "Random queries before the predictor's first fit.", lower_bound=3)
_PROXY = flags.DEFINE_string("proxy", None, "For --guide=proxy: parameters, multiply_adds, or a score of the file.")
_PROXY_SCORES = flags.DEFINE_string("proxy_scores", None, "File of trainers.score_proxies with that score.")
_WORKERS = flags.DEFINE_integer("workers", 0, "Train so many architectures at a time; 0 for here.", lower_bound=0)
_ENGINE = flags.DEFINE_enum("engine", "processes", ("processes", "ray"), "Where the workers are.")
_RAY_ADDRESS = flags.DEFINE_string("ray_address", None, "Ray cluster; by default one is started on this machine.")
_WORKER_GPUS = flags.DEFINE_float("worker_gpus", 0.0, "GPUs that a Ray worker needs.", lower_bound=0.0)
_ASYNCHRONOUS = flags.DEFINE_boolean("asynchronous", False, "No waiting for stragglers; results depend on timing.")
_TRIAL_LOG = flags.DEFINE_string("trial_log", None, "Log of trainings, to share; by default OUT/trained.jsonl.")
_QUERIES = flags.DEFINE_integer("queries", 40, "Architectures scored per run.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 1, "Independent runs per strategy.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first run; later runs count up.", lower_bound=0)
tfnas_flags.define_from_rows({name: benchmark.config for name, benchmark in BENCHMARKS.items()})
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.search.experiment.compare`."""
    tfnas.runtime.one_thread_per_operation()

    import contextlib
    import functools

    from tfnas.benchmarks.function import FunctionEvaluator
    from tfnas.benchmarks.trained.evaluator import TrainedEvaluator
    from tfnas.encoders.arch2vec.saved import open_encoder
    from tfnas.errors import ConfigurationError
    from tfnas.search import LatentForestSearch, check_strategies, engines, experiment
    from tfnas.search.guided_experiment import check_guide, guided_capacity, strategy_maker
    from tfnas.search.open_candidates import OpenCandidates

    check_strategies(_STRATEGY.value)
    check_guide(_GUIDE.value, _STRATEGY.value, _QUERIES.value, _LABELS.value)
    make = strategy_maker(_GUIDE.value, proxy=_PROXY.value, scores=_PROXY_SCORES.value, labels=_LABELS.value)
    settings_of_benchmark = tfnas_flags.overrides(*(benchmark.config for benchmark in BENCHMARKS.values()))
    make_evaluator = functools.partial(BENCHMARKS[_BENCHMARK.value].evaluator, **settings_of_benchmark)
    evaluator = make_evaluator()
    trained = isinstance(evaluator, TrainedEvaluator)
    if not trained and (_WORKERS.value or _TRIAL_LOG.value):
        raise ConfigurationError(f"--benchmark={_BENCHMARK.value} trains nothing; drop --workers and --trial_log")
    listed = not isinstance(evaluator, FunctionEvaluator)
    encoder = open_encoder(_ENCODER.value, evaluator.space) if listed else None
    settings = {
        "program": "search",
        "encoder": encoder and encoder.fingerprint,
        **settings_of_benchmark,
        **{flag.name: flag.value for flag in (_EMBEDDINGS, _BENCHMARK, _GUIDE, _LABELS, _PROXY, _PROXY_SCORES)},
        **{flag.name: flag.value for flag in (_STRATEGY, _QUERIES, _RUNS, _SEED, _WORKERS, _ASYNCHRONOUS)},
    }
    output_dir = tfnas_flags.output_folder(settings)
    if trained:
        evaluator.keep_in(_TRIAL_LOG.value or output_dir / "trained.jsonl")
    candidates = OpenCandidates(evaluator.space, guided_capacity(_QUERIES.value, _RUNS.value))
    if encoder is not None:
        with_latents = LatentForestSearch.name in _STRATEGY.value
        candidates = experiment.candidates_of(evaluator, encoder, _EMBEDDINGS.value, with_latents=with_latents)
    with contextlib.ExitStack() as stack:
        engine = None
        if _WORKERS.value:
            cluster = {"address": _RAY_ADDRESS.value, "gpus": _WORKER_GPUS.value}
            engine = stack.enter_context(
                engines.get_engine(_ENGINE.value, evaluator, _WORKERS.value, make_evaluator, **cluster)
            )
        experiment.compare(
            _STRATEGY.value,
            candidates,
            evaluator,
            output_dir,
            queries=_QUERIES.value,
            runs=_RUNS.value,
            seed=_SEED.value,
            benchmark=_BENCHMARK.value,
            make=make,
            engine=engine,
            asynchronous=_ASYNCHRONOUS.value,
        )


if __name__ == "__main__":
    tfnas_flags.run(main)
