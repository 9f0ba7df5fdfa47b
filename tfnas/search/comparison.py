"""What a search has found: the best architecture, tables, figures, and whether strategies can be told apart."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats

from tfnas import artefacts
from tfnas.benchmarks import Evaluator
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.registry import build_network
from tfnas.reports import figures, tables
from tfnas.search import loop
from tfnas.search.candidates import CandidateSet
from tfnas.spaces import Architecture, Space

if TYPE_CHECKING:
    from tfnas.benchmarks.trained.images import ImageData
    from tfnas.search.winner import TrainedArchitecture

MILESTONES = (20, 50, 100, 150)
"""Numbers of queries after which tables show what a search has found."""

_ACCURACIES = ("validation", "mean_validation", "test")  # of a Score, in the order of tables
_SIGNIFICANT = 0.01


def milestones(budget: int) -> list[int]:
    """The numbers of queries of a table of searches with a budget: the milestones below it, and the budget itself.

    Example:
      >>> milestones(60)
      [20, 50, 60]
    """
    return sorted({*(count for count in MILESTONES if count < budget), budget})


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
        """One sentence: the strategies in the order of their mean test accuracy, and which strategy to use.

        A strategy is recommended if the test accuracies of its runs are greater than those of the next strategy, by the
        one-sided test of Mann and Whitney with p < 0.01.
        """
        names = sorted(self.histories, key=lambda name: -self.summary[name]["test_mean"])
        rows = [self.summary[name] for name in names]
        means = ", ".join(f"{name} {row['test_mean']:.2%}" for name, row in zip(names, rows, strict=True))
        text = (
            f"Test {self._metric} of the best by validation with {rows[0]['queries']:.0f} queries, "
            f"{rows[0]['runs']:.0f} runs: {means}"
        )
        if len(names) == 1:
            return f"{text}."
        p = self.significance(names[0])[names[1]]
        if p < _SIGNIFICANT:
            return f"{text}; search with --strategy={names[0]} (above {names[1]} with p = {p:.1g})."
        return f"{text}; {names[0]} and {names[1]} can't be told apart (p = {p:.2g})."

    def significance(self, name: str, score: str = "test", queries: int | None = None) -> dict[str, float]:
        """How sure it is that a strategy finds better architectures than every other strategy.

        Args:
          name: name of the strategy.
          score: name of an array of `Scores`.
          queries: number of queries after which the strategies are compared; by default all.

        Returns:
          p of the one-sided test of Mann and Whitney over the runs, by the name of the other strategy.
        """
        last = slice(None) if queries is None else slice(queries)
        ends = {other: history.trace(score)[:, last][:, -1] for other, history in self.histories.items()}
        return {
            other: float(scipy.stats.mannwhitneyu(ends[name], values, alternative="greater").pvalue)
            for other, values in ends.items()
            if other != name
        }

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

    @property
    def _counts(self) -> list[int]:
        return milestones(max(history.rows.shape[1] for history in self.histories.values()))

    def milestones(self) -> str:
        """Mean scores in percent after 20, 50, 100, 150 and all queries, as Markdown.

        A strategy has rows for the best validation score that it saw, and for mean validation score over trainings and
        test score of the same architecture. Where a model picks the architecture, further rows have the scores of the
        pick.
        """
        counts, rows = self._counts, []
        for name, history in self.histories.items():
            labels = [("best seen", False, key) for key in _ACCURACIES]
            if history.picks_by_model:
                labels += [("model's pick", True, key) for key in _ACCURACIES[1:]]
            for choice, by_model, key in labels:
                trace = 100 * history.trace(key, by_model)
                cells = [f"{trace[:, min(count, trace.shape[1]) - 1].mean():.2f}" for count in counts]
                rows.append([name, choice, key.replace("_", " "), *cells])
        return tables.markdown(["strategy", "architecture", "mean %", *(f"{count} queries" for count in counts)], rows)

    def save(self, folder: artefacts.PathLike) -> None:
        """Writes tables and figures.

        `results.json` has the same bytes for the same seed; `metrics.jsonl` has a line per run; `summary.json` has
        means and deviations, and as `p` what `significance` says after 20, 50, 100, 150 and all queries; further files
        are `results.md`, `search.png` (curves), `best_cell.png` and, where candidates are embedded, `map.png` (the
        queries in the embedding space).

        Args:
          folder: folder, which is made if it does not exist.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        space, best = self.candidates.space, self.best
        artefacts.write_json(folder / "results.json", self.results)
        artefacts.write_json_lines(folder / "metrics.jsonl", self.records)
        artefacts.write_text(folder / "results.md", f"{self.table()}\n\n{self.milestones()}\n\n{self.conclusion()}\n")
        artefacts.write_json(
            folder / "summary.json",
            {
                "space": space.name,
                "benchmark": self.benchmark,
                "metric": self.metric,
                "candidates": self.candidates.met,
                "seed": self.seed,
                "strategies": self.summary,
                "p": {
                    score: {
                        name: {str(count): self.significance(name, score, count) for count in self._counts}
                        for name in self.histories
                    }
                    for score in _ACCURACIES[1:]
                },
                "best": {"architecture": str(best), "encodings": space.written(best.architecture)}
                | {key: getattr(best, key) for key in ("strategy", *_ACCURACIES)},
            },
        )
        titles = {"validation": f"best validation {self._metric}", "test": f"its test {self._metric}"}
        curves = {
            title: {name: history.trace(key) for name, history in self.histories.items()}
            for key, title in titles.items()
        }
        figures.search_panels(curves, folder / "search.png", title=f"{space.name} on {self.benchmark}")
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
