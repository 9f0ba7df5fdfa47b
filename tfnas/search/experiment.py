"""A search by one or several strategies, with its table and figures."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfnas import artefacts
from tfnas.benchmarks import Evaluator
from tfnas.encoders.arch2vec.saved import SavedCellEncoder, open_encoder, read_embedding_table, ships
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.registry import build_network
from tfnas.reports import figures, tables
from tfnas.search import MakeStrategy, guided, loop, pools
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.search.engines import Engine
from tfnas.search.goals import default_strategy, strategies_for
from tfnas.search.objectives import ACCURACY, Goals, read_goals
from tfnas.search.open_candidates import OpenCandidates
from tfnas.search.pareto_comparison import ParetoComparison
from tfnas.search.settings import SurrogateSettings
from tfnas.spaces import Architecture, Space

if TYPE_CHECKING:
    from tfnas.benchmarks.trained.images import ImageData
    from tfnas.search.winner import TrainedArchitecture

GROWING = ("queries",)
"""Settings of a search that may be larger when the search is resumed."""

_ACCURACIES = ("validation", "mean_validation", "test")  # of a Score, in the order of tables


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
) -> "Comparison | ParetoComparison":
    """Searches for the best architecture of a benchmark.

    Args:
      benchmark: evaluator of architectures; see `tfnas.benchmark`.
      strategy: name in `STRATEGIES`, or with several objectives in `GOAL_STRATEGIES`, or several names to compare; None
        for the strategy that wins.
      queries: architectures scored per run.
      runs: independent runs per strategy.
      seed: seed of the first run; later runs count up.
      initial: random queries before a strategy's first prediction; see `search.sized`.
      encoder: folder of an exported arch2vec encoder; None for the encoder that ships for the space, if there is one.
      folder: folder that holds the state of the search, so that a killed search continues, and a finished search with
        more queries; None writes nothing.

    Returns:
      All queries; `best` is the best of them.

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
    opened = encoder_of(benchmark, encoder)
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
    candidates = goals.within(candidates_of(benchmark, opened, capacity=capacity(queries, runs)))
    return compare(strategies, candidates, benchmark, queries=queries, runs=runs, seed=seed, folder=home, goals=goals)


def capacity(queries: int, runs: int) -> int:
    """Room for all architectures that the strategies can meet in a space that nobody lists."""
    return max(guided.capacity(queries, runs), pools.vicinity_capacity(queries, runs))


def encoder_of(
    evaluator: Evaluator, folder: artefacts.PathLike | None, embeddings: artefacts.PathLike | None = None
) -> SavedCellEncoder | None:
    """The encoder for a search of a benchmark; None where candidates are not embedded.

    Candidates that nobody lists, without a table of embeddings, are not embedded, nor are those of a space without a
    shipped encoder unless `folder` holds one.

    Args:
      evaluator: the benchmark.
      folder: folder of an exported encoder; None for the encoder that ships for the space.
      embeddings: table that `tfnas embed` wrote; None for no table.

    Raises:
      ConfigurationError: a table of embeddings, but no folder was given, and no encoder ships.
      CorruptArtefactError: the encoder is damaged.
      MismatchError: the encoder is of another space.
    """
    if embeddings is None and (not evaluator.lists or (folder is None and not ships(evaluator.space))):
        return None
    return open_encoder(folder, evaluator.space)


def candidates_of(
    evaluator: Evaluator,
    encoder: SavedCellEncoder | None,
    embeddings: artefacts.PathLike | None = None,
    capacity: int = 100_000,
) -> CandidateSet:
    """Candidates of a search: an embedding table, the rows of the benchmark's table, the whole space, or an open list.

    Args:
      evaluator: the benchmark.
      encoder: encoder of architectures that are not embedded yet; None for candidates without embeddings.
      embeddings: table that `tfnas embed` wrote with the encoder; None for what the benchmark lists.
      capacity: largest number of candidates that nobody lists.

    Raises:
      MismatchError: encoder, embeddings and benchmark don't belong together.
    """
    if encoder is None:
        if evaluator.lists:
            return Candidates(evaluator.space, evaluator.cells())
        return OpenCandidates(evaluator.space, capacity)
    encoder.check_space(evaluator.space)
    if embeddings is not None:
        cells, points = read_embedding_table(embeddings, encoder)
    else:
        cells = evaluator.cells()
        points = encoder.embed(cells)
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
) -> "Comparison | ParetoComparison":
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
    histories = loop.run_strategies(
        strategies,
        candidates,
        evaluator,
        queries=queries,
        runs=runs,
        seed=seed,
        folder=folder,
        engine=engine,
        asynchronous=asynchronous,
    )
    if goals is not None and goals.several:
        return ParetoComparison.of(goals, candidates, histories, evaluator, seed)
    return Comparison(candidates, histories, seed, evaluator.name, evaluator.metric)


@dataclasses.dataclass(frozen=True)
class Best:
    """The best architecture of a search.

    Attributes:
      space: space of the architecture.
      architecture: the architecture.
      validation: validation accuracy that the search saw, in [0, 1].
      mean_validation: validation accuracy, mean over all trainings that the benchmark knows, in [0, 1].
      test: test accuracy, in [0, 1].
      cost_seconds: training time of the query.
      strategy: name of the strategy whose query the architecture was.
      seed: seed of the run.
    """

    space: Space
    architecture: Architecture
    validation: float
    mean_validation: float
    test: float
    cost_seconds: float
    strategy: str
    seed: int

    def __str__(self) -> str:
        """The architecture as its space writes it."""
        return self.space.to_string(self.architecture)

    def write(self, encoding: str) -> Any:
        """The architecture as another package writes it; see `Space.write`."""
        return self.space.write(self.architecture, encoding)

    @property
    def graph(self) -> ComputationGraph:
        """The computation graph of the architecture's network; raises ConfigurationError for a space without any."""
        from tfnas.networks import symbolic

        return symbolic.build(self.space, self.architecture)

    def network(self, image_shape: Sequence[int], num_classes: int) -> Any:
        """The Keras model of the architecture, with fresh weights; see `networks.registry.build_network`."""
        return build_network(self.space, self.architecture, image_shape, num_classes)

    def train(self, images: "ImageData | Evaluator", epochs: int | None = None) -> "TrainedArchitecture":
        """The architecture as a trained model that can be saved; see `winner.train`."""
        from tfnas.search import winner

        return winner.train(self.space, self.architecture, images, epochs, self._accuracies)

    def hand_over(self, benchmark: Evaluator, folder: pathlib.Path, epochs: int | None = None) -> str:
        """Trains the architecture and saves the model in a folder; see `winner.hand_over`."""
        from tfnas.search import winner

        return winner.hand_over(self.space, self.architecture, benchmark, folder, epochs, self._accuracies)

    @property
    def _accuracies(self) -> dict[str, float]:
        return {"validation": self.validation, "test": self.test}

    def draw(self, path: artefacts.PathLike) -> None:
        """Draws the cell to a PNG file and, beside the file, as SVG."""
        self.space.draw(self.architecture, path)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All queries of one or several strategies, in R runs.

    Attributes:
      candidates: architectures that were chosen from.
      histories: queries and answers of every strategy, by name.
      seed: seed of the first run.
      benchmark: name of the benchmark; "" where nobody named it.
      metric: name of the score.
    """

    candidates: CandidateSet
    histories: Mapping[str, loop.History]
    seed: int
    benchmark: str = ""
    metric: str = "accuracy"

    def __str__(self) -> str:
        """The table."""
        return self.table()

    @property
    def best(self) -> Best:
        """The query with the highest validation accuracy of all strategies and runs, the first of equal queries."""
        best_of_runs = [
            (history.scores.validation[run, query], name, run, query)
            for name, history in self.histories.items()
            for run, query in enumerate(history.best.tolist())
        ]
        _, name, run, query = max(best_of_runs, key=lambda row: row[0])
        history = self.histories[name]
        return Best(
            self.candidates.space,
            self.candidates.architecture(int(history.rows[run, query])),
            **{
                key: float(getattr(history.scores, key)[run, query])
                for key in ("validation", "mean_validation", "test", "cost_seconds")
            },
            strategy=name,
            seed=self.seed + run,
        )

    def to_dataframe(self) -> Any:
        """All queries as a `pandas.DataFrame`, a row each, in the order in which a run asked them.

        Returns:
          Columns strategy, seed, query (from 1), architecture (text), validation, test, cost_seconds, failure (text)
          and mean_validation.

        Raises:
          ConfigurationError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ConfigurationError("to_dataframe needs the package pandas: pip install 'tfnas[pandas]'") from error
        frames = []
        for name, history in self.histories.items():
            runs, queries = history.rows.shape
            columns = {
                "strategy": name,
                "seed": np.repeat(self.seed + np.arange(runs), queries),
                "query": np.tile(1 + np.arange(queries), runs),
                "architecture": [self.name_of(row) for row in history.rows.ravel().tolist()],
            }
            scores = {field: values.ravel() for field, values in vars(history.scores).items()}
            frames.append(pandas.DataFrame(columns | scores))
        return pandas.concat(frames, ignore_index=True)

    @property
    def summary(self) -> dict[str, dict[str, float]]:
        """Mean and standard deviation over runs, per strategy."""
        return {name: _moments(history) for name, history in self.histories.items()}

    @property
    def records(self) -> list[dict[str, Any]]:
        """Accuracies of the best architecture and training time of every run."""
        return [
            {"strategy": name, "seed": self.seed + run, "seconds": seconds}
            | {key: values[run] for key, values in _accuracies(history).items()}
            for name, history in self.histories.items()
            for run, seconds in enumerate(history.scores.cost_seconds.sum(axis=1).tolist())
        ]

    @property
    def results(self) -> dict[str, dict[str, list]]:
        """Accuracies and name of the best architecture of every run, per strategy."""
        return {
            name: _accuracies(history) | {"best": [self.name_of(row) for row in history.at_best(history.rows).tolist()]}
            for name, history in self.histories.items()
        }

    def conclusion(self) -> str:
        """One sentence: the strategies in the order of their mean validation accuracy, and which strategy to use.

        A strategy is recommended if its mean is more than two standard errors of the difference above the next mean.
        """
        names = sorted(self.histories, key=lambda name: -self.summary[name]["validation_mean"])
        rows = [self.summary[name] for name in names]
        means = ", ".join(f"{name} {row['validation_mean']:.2%}" for name, row in zip(names, rows, strict=True))
        text = (
            f"Best validation {self._metric} with {rows[0]['queries']:.0f} queries, {rows[0]['runs']:.0f} runs: {means}"
        )
        if len(names) == 1:
            return f"{text}."
        deviations = np.hypot(rows[0]["validation_std"], rows[1]["validation_std"])
        lead = rows[0]["validation_mean"] - rows[1]["validation_mean"]
        if rows[0]["runs"] > 1 and lead > 2 * deviations / np.sqrt(rows[0]["runs"]):
            return f"{text}; search with --strategy={names[0]}."
        return f"{text}; {names[0]} and {names[1]} can't be told apart."

    @property
    def _metric(self) -> str:
        """The score in words."""
        return self.metric.replace("_", " ")

    def table(self) -> str:
        """Scores in percent, mean and deviation over runs, as Markdown."""
        rows = [
            [
                name,
                f"{row['runs']:.0f}",
                f"{row['queries']:.0f}",
                *(f"{100 * row[f'{key}_mean']:.2f} ± {100 * row[f'{key}_std']:.2f}" for key in _ACCURACIES),
                f"{row['seconds_mean']:.1f}",
            ]
            for name, row in self.summary.items()
        ]
        metric = "" if self.metric == "accuracy" else f"{self._metric} "
        accuracies = [f"best validation {metric}%", f"mean {metric}over trainings %", f"its test {metric}%"]
        columns = ["strategy", "runs", "queries per run", *accuracies, "training seconds per run"]
        return tables.markdown(columns, rows)

    def save(self, folder: artefacts.PathLike) -> None:
        """Writes tables and figures.

        `results.json` has the same bytes for the same seed; `metrics.jsonl` has a line per run; further files are
        `summary.json`, `results.md`, `search.png` (curves), `best_cell.png` and, where candidates are embedded,
        `map.png` (the queries in the embedding space).

        Args:
          folder: folder, which is made if it does not exist.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        space, best = self.candidates.space, self.best
        artefacts.write_json(folder / "results.json", self.results)
        artefacts.write_json_lines(folder / "metrics.jsonl", self.records)
        artefacts.write_text(folder / "results.md", self.table() + "\n")
        artefacts.write_json(
            folder / "summary.json",
            {
                "space": space.name,
                "benchmark": self.benchmark,
                "metric": self.metric,
                "candidates": self.candidates.met,
                "seed": self.seed,
                "strategies": self.summary,
                "best": {"architecture": str(best), "encodings": space.written(best.architecture)}
                | {key: getattr(best, key) for key in ("strategy", *_ACCURACIES)},
            },
        )
        curves = {name: history.scores.validation for name, history in self.histories.items()}
        title = f"{space.name} on {self.benchmark}"
        figures.search_curves(curves, folder / "search.png", title=title, metric=self._metric)
        if self.candidates.embedded:
            self._draw_map(folder / "map.png")
        space.draw(
            best.architecture,
            folder / "best_cell.png",
            title=f"{best}\nvalidation {best.validation:.2%}, test {best.test:.2%}",
        )

    def _draw_map(self, path: pathlib.Path) -> None:
        queried = np.concatenate([history.rows.ravel() for history in self.histories.values()])
        scores = np.concatenate([history.scores.validation.ravel() for history in self.histories.values()])
        rows, first = np.unique(queried, return_index=True)
        title = f"{self.candidates.space.name}: {len(rows):,} cells queried"
        figures.embedding_map(self.candidates.embeddings, rows, scores[first], path, title=title, metric=self._metric)

    def name_of(self, row: int) -> str:
        """The text that names the candidate of a row."""
        return self.candidates.space.to_string(self.candidates.architecture(row))


def _accuracies(history: loop.History) -> dict[str, list[float]]:
    """Accuracies of the best architecture of every run."""
    return {name: history.at_best(getattr(history.scores, name)).tolist() for name in _ACCURACIES}


def _moments(history: loop.History) -> dict[str, float]:
    """Means and standard deviations over the runs of a strategy."""
    row: dict[str, float] = {"runs": history.rows.shape[0], "queries": history.rows.shape[1]}
    for key, values in {**_accuracies(history), "seconds": history.scores.cost_seconds.sum(axis=1)}.items():
        row[f"{key}_mean"], row[f"{key}_std"] = float(np.mean(values)), float(np.std(values))
    return row | {"failed": int(history.scores.failed.sum())}
