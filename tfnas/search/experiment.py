"""A search by one or several strategies."""

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tqdm import tqdm

from tfnas import artefacts, runtime
from tfnas.benchmarks import Evaluator
from tfnas.encoders.arch2vec.saved import SavedCellEncoder, open_encoder, read_embedding_table, ships
from tfnas.errors import ConfigurationError
from tfnas.search import MakeStrategy, loop
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.search.comparison import Comparison
from tfnas.search.engines import Engine
from tfnas.search.goals import default_strategy, strategies_for
from tfnas.search.objectives import ACCURACY, Goals, read_goals
from tfnas.search.open_candidates import OpenCandidates
from tfnas.search.pareto_comparison import ParetoComparison
from tfnas.search.settings import SurrogateSettings
from tfnas.spaces import Architecture

GROWING = ("queries",)
"""Settings of a search that may be larger when the search is resumed."""


def search(
    benchmark: Evaluator,
    *,
    strategy: str | Sequence[str] | None = None,
    queries: int = 100,
    runs: int = 1,
    seed: int = 1,
    initial: int | None = None,
    encoder: artefacts.PathLike | None = None,
    folder: artefacts.PathLike | None = None,
    objectives: Sequence[str | Callable[[Architecture], float]] = (ACCURACY,),
    limits: Sequence[str] = (),
    costs: artefacts.PathLike | None = None,
    trust: bool = False,
) -> Comparison | ParetoComparison:
    """Searches for the best architecture of a benchmark.

    Args:
      benchmark: evaluator of architectures; see `tfnas.benchmark`.
      strategy: name in `STRATEGIES`, or with several objectives in `GOAL_STRATEGIES`, or several names to compare; None
        for `goals.default_strategy`.
      queries: architectures scored per run.
      runs: independent runs per strategy.
      seed: seed of the first run; later runs count up.
      initial: random queries before a strategy's first prediction; see `search.sized`.
      encoder: folder of an exported arch2vec encoder; None for the encoder that ships for the space, if there is one.
      folder: folder that holds the state of the search, so that a killed search continues, and a finished search with
        more queries; None writes nothing.
      objectives: the accuracy, and further numbers or functions of an architecture; see `objectives.read_objective`.
      limits: bounds of such numbers, as `name:number`.
      costs: compact table with columns for `objectives` and `limits`; None for the benchmark's columns alone.
      trust: True to open an encoder that may do more than compute; see `saved_models.load_module`.

    Returns:
      All queries: with one objective a `Comparison`, whose `best` is the best architecture; with several objectives a
      `ParetoComparison`, whose `front` holds the architectures that no other query dominates.

    Raises:
      ConfigurationError: an unknown strategy, a number below 1, a space for which no encoder ships, or a folder of a
        search with other settings.

    Example:
      >>> from tfnas.benchmarks import BENCHMARKS
      >>> result = search(BENCHMARKS["digits201"].evaluator(), strategy="evolution", queries=30)
      >>> len(result.to_dataframe()), result.best.validation > 0.8
      (30, True)
    """
    for name, value in (("queries", queries), ("runs", runs)):
        if value < 1:
            raise ConfigurationError(f"{name}={value}, expected at least 1")
    goals = read_goals(benchmark, objectives, limits, costs)
    names = [strategy] if isinstance(strategy, str) else strategy or [default_strategy(goals)]
    strategies = strategies_for(goals, names, queries, SurrogateSettings(initial))
    opened = encoder_of(benchmark, encoder, trust=trust)
    settings = {
        "program": "tfnas.search",
        "benchmark": benchmark.name,
        "benchmark_settings": dict(benchmark.settings),
        "space": benchmark.space.name,
        "encoder": opened and opened.fingerprint,
        "strategy": list(names),
        "queries": queries,
        "runs": runs,
        "seed": seed,
        "initial": initial,
        "objective": list(goals.names),
        "limit": list(map(str, goals.limits)),
    }
    home = None if folder is None else artefacts.prepare_output_folder(folder, settings, resume=True, growing=GROWING)
    if home is not None:
        goals.keep_in(home)
    candidates = goals.within(candidates_of(benchmark, opened))
    return compare(strategies, candidates, benchmark, queries=queries, runs=runs, seed=seed, folder=home, goals=goals)


def encoder_of(
    evaluator: Evaluator,
    folder: artefacts.PathLike | None,
    embeddings: artefacts.PathLike | None = None,
    *,
    trust: bool = False,
) -> SavedCellEncoder | None:
    """The encoder for a search of a benchmark; None where candidates are not embedded.

    Candidates that nobody lists, without a table of embeddings, are not embedded, nor are those of a space without a
    shipped encoder unless `folder` holds one.

    Args:
      evaluator: the benchmark.
      folder: folder of an exported encoder; None for the encoder that ships for the space.
      embeddings: table that `tfnas embed` wrote; None for no table.
      trust: True to open a SavedModel that may do more than compute; see `saved_models.load_module`.

    Raises:
      ConfigurationError: a table of embeddings, but no folder was given, and no encoder ships.
      CorruptArtefactError: the encoder is damaged.
      MismatchError: the encoder is of another space.
    """
    if embeddings is None and (not evaluator.lists or (folder is None and not ships(evaluator.space))):
        return None
    return open_encoder(folder, evaluator.space, trust=trust)


def candidates_of(
    evaluator: Evaluator,
    encoder: SavedCellEncoder | None,
    embeddings: artefacts.PathLike | None = None,
) -> CandidateSet:
    """Candidates of a search: an embedding table, the rows of the benchmark's table, the whole space, or an open list.

    Args:
      evaluator: the benchmark.
      encoder: encoder of architectures that are not embedded yet; None for candidates without embeddings.
      embeddings: table that `tfnas embed` wrote with the encoder; None for what the benchmark lists.

    Raises:
      MismatchError: encoder, embeddings and benchmark don't belong together.
    """
    if encoder is None:
        if evaluator.lists:
            return Candidates(evaluator.space, evaluator.cells())
        return OpenCandidates(evaluator.space)
    encoder.check_space(evaluator.space)
    points: np.ndarray | Callable[[], np.ndarray]
    if embeddings is not None:
        cells, points = read_embedding_table(embeddings, encoder)
    else:
        cells = evaluator.cells()
        points = functools.partial(encoder.embed, cells)
    return Candidates(evaluator.space, cells, points, functools.partial(encoder.latents, cells))


def compare(
    strategies: Mapping[str, MakeStrategy],
    candidates: CandidateSet,
    evaluator: Evaluator,
    *,
    queries: int,
    runs: int,
    seed: int,
    folder: pathlib.Path | None = None,
    engine: Engine | None = None,
    asynchronous: bool = False,
    goals: Goals | None = None,
) -> Comparison | ParetoComparison:
    """Compares strategies over independent runs with the seeds `seed`, `seed + 1`, ...

    Args:
      strategies: makers of the strategies, by name; see `search.STRATEGIES`.
      candidates: architectures to choose from.
      evaluator: the benchmark; it may remember what it answered.
      queries: budget of every run.
      runs: number of runs per strategy.
      seed: seed of the first run.
      folder: existing folder that holds every strategy's state and history under `strategies/`, so that a killed
        comparison continues, and a finished comparison with more queries; None writes nothing.
      engine: processes that score for the evaluator.
      asynchronous: True tells every score as soon as it is there; see `loop.run_search`.
      goals: objectives and limits; None for the accuracy alone.
    """
    histories: dict[str, loop.History] = {}
    with tqdm(
        total=min(queries, len(candidates)) * runs * len(strategies), desc="Searching", unit="query", unit_scale=True
    ) as bar:
        for name, make in strategies.items():
            home = None if folder is None else folder / "strategies" / name
            if home is not None and (home / "history.npz").exists():
                arrays = artefacts.read_npz(home / "history.npz")
                histories[name] = loop.read_history(arrays, home / "history.npz")
                if histories[name].rows.shape[1] >= queries:
                    candidates.load_state(arrays)
                    bar.update(histories[name].rows.size)
                    continue
            strategy = make(candidates, range(seed, seed + runs))
            if queries <= strategy.initial:
                start = f"the first {strategy.initial} queries of {name} are random"
                runtime.say(f"Warning: {start}, so all {queries} are; --queries above {strategy.initial} searches.")
            histories[name] = loop.run_search(
                strategy, evaluator, queries, home, bar, engine=engine, asynchronous=asynchronous
            )
            if home is not None:
                artefacts.write_npz(home / "history.npz", **histories[name].arrays(), **candidates.state())
                if evaluator.batch is None:  # a search with more queries begins again: its answers cost nothing
                    (home / "state.npz").unlink(missing_ok=True)
    if goals is not None and goals.several:
        return ParetoComparison.of(goals, candidates, histories, evaluator, seed)
    return Comparison(candidates, histories, seed, evaluator.name, evaluator.metric)
