"""Searches for good architectures in the embedding space of an exported encoder.

  tfnas search --strategy=random,evolution,reinforce,bo --benchmark=digits201 --runs=500 --queries=150 \
      --output_dir=OUT
  tfnas search --benchmark=trained --data=images.npz --queries=40 --output_dir=OUT
  tfnas search --benchmark=darts --data=cifar10.npz --embeddings=TABLE --queries=100 --output_dir=OUT
  tfnas search --strategy=evolution --guide=predictor --benchmark=nasbench201_cifar10 --output_dir=OUT
  tfnas search --benchmark=digits201 --objective=accuracy,parameters --limit=parameters:12000 --output_dir=OUT
  tfnas search --strategy=evolution --guide=predictor --benchmark=function --space=mobilenetv3 \
      --accuracy=my_module:accuracy --output_dir=OUT

Benchmarks: `digits201` ships with tfnas; `digits` trains the same networks when asked; `trained` and `darts` train
NAS-Bench-201 and DARTS cells on your images, the latter by default as arch2vec does; the others look for their table
in the folder TFNAS_DATA_DIR; `table` takes any compact table; `function` asks a function of yours, in any space, by
guided evolution. With --guide, `evolution` picks its children by a predictor fitted to the run's own queries, or by a
proxy: parameters, multiply_adds, or a score of a file that `tfnas score_proxies` wrote. OUT gets results.json,
results.md, summary.json, metrics.jsonl, every query under OUT/strategies, and three figures. A benchmark that trains
also gives OUT/best_model: the best architecture, trained for --final_epochs, as a model of plain Keras and as code.
"""

import dataclasses
import functools

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags
from tfnas.benchmarks import BENCHMARKS
from tfnas.search import DEFAULT_STRATEGY, STRATEGIES
from tfnas.search.settings import GoalSettings, GuideSettings, SurrogateSettings, WorkerSettings

_STRATEGIES = "; ".join(f"{kind.name}: {kind.summary}" for kind in STRATEGIES.values())

_ENCODER = tfnas_flags.define_path(
    "encoder", None, "Encoder of cells: a shipped name or a folder; by default the shipped arch2vec of the space."
)
_EMBEDDINGS = tfnas_flags.define_path("embeddings", None, "Table made by `tfnas embed`; by default computed here.")
_STRATEGY = flags.DEFINE_list(
    "strategy",
    None,
    f"One or more strategies, by default {DEFAULT_STRATEGY}. {_STRATEGIES}. With several objectives one or more of "
    "random, nsga2, ehvi and parego; by default ehvi for two objectives and parego for more.",
)
_BENCHMARK = flags.DEFINE_enum("benchmark", "digits", list(BENCHMARKS), "What scores an architecture.")
_QUERIES = flags.DEFINE_integer("queries", 40, "Architectures scored per run.", lower_bound=1)
_RUNS = flags.DEFINE_integer("runs", 1, "Independent runs per strategy.", lower_bound=1)
_FINAL_EPOCHS = flags.DEFINE_integer(
    "final_epochs",
    None,
    "Epochs of the final training of the best architecture, on training and validation images together; 0 for none. "
    "By default the epochs of the search's trainings, and none for a benchmark that trains nothing.",
    lower_bound=0,
)
_SEED = flags.DEFINE_integer("seed", 1, "Seed of the first run; later runs count up.", lower_bound=0)
tfnas_flags.define_from_rows({name: benchmark.config for name, benchmark in BENCHMARKS.items()})
tfnas_flags.define_from_rows({"evolution": GuideSettings})
tfnas_flags.define_from_rows({"strategies with a surrogate": SurrogateSettings})
tfnas_flags.define_from_rows({"benchmarks that train": WorkerSettings})
_OPTUNA = flags.DEFINE_string("optuna", None, "URL of Optuna's storage, such as sqlite:///study.db, for all queries.")
_OPTUNA_STUDY = flags.DEFINE_string("optuna_study", "tfnas", "Name of the study in the storage of --optuna.")
_HPARAMS = flags.DEFINE_boolean("hparams", False, "Write OUT/hparams, all queries for TensorBoard's HParams page.")
tfnas_flags.define_from_rows({"every benchmark": GoalSettings})
_TRUST = tfnas_flags.define_trust()
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.search.experiment.compare`."""
    tfnas.runtime.one_thread_per_operation()
    benchmark = tfnas_flags.overrides(*(row.config for row in BENCHMARKS.values()))
    make_evaluator = functools.partial(BENCHMARKS[_BENCHMARK.value].evaluator, **benchmark)
    with tfnas.runtime.progress(desc="Reading the benchmark and starting TensorFlow ...", bar_format="{desc}"):
        evaluator = make_evaluator()  # a mistake in a user's files shows before TensorFlow starts

        from tfnas import saved_models
        from tfnas.search import engines, experiment, exports, guides, objectives, winner
        from tfnas.search.goals import default_strategy, strategies_for

    configs = (GuideSettings, SurrogateSettings, WorkerSettings, GoalSettings)
    guide, surrogate, workers, goal = (config(**tfnas_flags.overrides(config)) for config in configs)
    goals = objectives.read_goals(evaluator, **dataclasses.asdict(goal))
    names = _STRATEGY.value or [default_strategy(goals)]
    strategies = strategies_for(goals, names, _QUERIES.value, surrogate)
    strategies = guides.guided(strategies, guide, _QUERIES.value)
    engines.check(workers, evaluator)
    winner.check(evaluator, _FINAL_EPOCHS.value)
    folder = saved_models.folder(_ENCODER.value) if _ENCODER.value else None
    encoder = experiment.encoder_of(evaluator, folder, _EMBEDDINGS.value, trust=_TRUST.value)
    settings = {
        "program": "search",
        "encoder": encoder and encoder.fingerprint,
        **benchmark,
        **dataclasses.asdict(guide),
        **dataclasses.asdict(surrogate),
        **dataclasses.asdict(goal),
        "strategy": names,
        "workers": workers.workers,
        "asynchronous": workers.asynchronous,
        **{flag.name: flag.value for flag in (_EMBEDDINGS, _BENCHMARK, _QUERIES, _RUNS, _SEED)},
    }
    if goals.several and (_OPTUNA.value or _HPARAMS.value or _FINAL_EPOCHS.value):
        raise tfnas.errors.ConfigurationError(
            "--optuna, --hparams and --final_epochs take a search with a single objective"
        )
    if _OPTUNA.value:
        exports.open_study(_OPTUNA.value, _OPTUNA_STUDY.value)  # a mistake is told before hours of trainings
    output_dir = tfnas_flags.output_folder(settings, growing=experiment.GROWING)
    engines.keep_trials(workers, evaluator, output_dir / "trained.jsonl")
    watch = engines.watch(workers, evaluator, _QUERIES.value * _RUNS.value * len(strategies))
    goals.keep_in(output_dir)
    with engines.start(workers, evaluator, make_evaluator) as engine:
        comparison = experiment.compare(
            strategies,
            goals.within(experiment.candidates_of(evaluator, encoder, _EMBEDDINGS.value)),
            evaluator,
            queries=_QUERIES.value,
            runs=_RUNS.value,
            seed=_SEED.value,
            folder=output_dir,
            engine=engine,
            asynchronous=workers.asynchronous,
            goals=goals,
        )
    comparison.save(output_dir)
    if _OPTUNA.value:
        exports.to_optuna(comparison, _OPTUNA.value, _OPTUNA_STUDY.value)
    if _HPARAMS.value:
        exports.to_hparams(comparison, output_dir / "hparams")
    print(comparison.table())
    watch.conclude([history.scores.validation for history in comparison.histories.values()])
    if not goals.several:
        print(comparison.best.hand_over(evaluator, output_dir / "best_model", _FINAL_EPOCHS.value), end="")


if __name__ == "__main__":
    tfnas_flags.run(main, runs_user_code=True)
