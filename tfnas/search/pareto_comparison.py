"""All queries of a search with several objectives: fronts, hypervolumes, tables and figures."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.stats

from tfnas import artefacts
from tfnas.benchmarks import Evaluator
from tfnas.reports import fronts, tables
from tfnas.search import pareto
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.search.comparison import milestones
from tfnas.search.loop import History
from tfnas.search.objectives import Goals
from tfnas.spaces import Architecture, Space

_BASELINES = ("random", "nsga2")


@dataclasses.dataclass(frozen=True, eq=False)
class ParetoFront:
    """Architectures that no other query dominates, the most accurate first.

    Attributes:
      space: space of the architectures.
      architectures: k architectures.
      names: names of the m objectives.
      values: float64 `[k, m]`, values of the objectives, as measured.
      test: float64 `[k]`, test accuracies.
      strategies: names of the strategies that asked first.
      seeds: seeds of the runs that asked first.
    """

    space: Space
    architectures: tuple[Architecture, ...]
    names: tuple[str, ...]
    values: np.ndarray
    test: np.ndarray
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.architectures)

    @property
    def records(self) -> list[dict[str, Any]]:
        """Architecture, objectives, test accuracy, strategy and seed of every member."""
        return [
            {"architecture": self.space.to_string(architecture)}
            | dict(zip(self.names, values, strict=True))
            | {"test": test, "strategy": strategy, "seed": seed}
            for architecture, values, test, strategy, seed in zip(
                self.architectures,
                self.values.tolist(),
                self.test.tolist(),
                self.strategies,
                self.seeds,
                strict=True,
            )
        ]

    def table(self) -> str:
        """The members as Markdown."""
        rows = [
            [record["architecture"], *(f"{record[name]:.6g}" for name in self.names), f"{record['test']:.4f}"]
            for record in self.records
        ]
        return tables.markdown(["architecture", *self.names, "test accuracy"], rows)


@dataclasses.dataclass(frozen=True, eq=False)
class ParetoComparison:
    """All queries of one or several strategies with m objectives, in R runs.

    Hypervolumes take the mean accuracy over all trainings that the benchmark knows. Their reference point is the worst
    of every objective, and their unit the hypervolume of the front, both over `population`.

    Attributes:
      goals: m objectives and limits.
      candidates: architectures that were chosen from.
      histories: queries and answers of every strategy, by name.
      population: float64 `[n, m]`, gains that fix reference and unit: those of all candidates if the answers of the
        benchmark cost nothing, else those of all queries.
      seed: seed of the first run.
      benchmark: name of the benchmark; "" where nobody named it.
    """

    goals: Goals
    candidates: CandidateSet
    histories: Mapping[str, History]
    population: np.ndarray
    seed: int
    benchmark: str = ""

    @classmethod
    def of(
        cls,
        goals: Goals,
        candidates: CandidateSet,
        histories: Mapping[str, History],
        evaluator: Evaluator,
        seed: int,
    ) -> "ParetoComparison":
        """The comparison of a benchmark's histories."""
        if evaluator.batch is None and isinstance(candidates, Candidates):
            cells = candidates.cells
            accuracies = evaluator.query_cells(cells).mean_validation
        else:
            cells = candidates.cells[np.concatenate([history.rows.ravel() for history in histories.values()])]
            accuracies = np.concatenate([history.scores.mean_validation.ravel() for history in histories.values()])
        return cls(goals, candidates, histories, _gains(goals, cells, accuracies), seed, evaluator.name)

    def __str__(self) -> str:
        """The table."""
        return self.table()

    @functools.cached_property
    def gains(self) -> dict[str, np.ndarray]:
        """float64 `[R, queries, m]` by strategy: objectives as the search saw them, NaN where not feasible."""
        return {name: self._of(history, history.scores.validation) for name, history in self.histories.items()}

    @functools.cached_property
    def reference(self) -> np.ndarray:
        """float64 `[m]`: the worst of every gain over the feasible population; 0 where nothing is feasible."""
        feasible = self.population[np.isfinite(self.population).all(axis=1)]
        return feasible.min(axis=0) if len(feasible) else np.zeros(self.population.shape[1])

    @functools.cached_property
    def hypervolumes(self) -> dict[str, np.ndarray]:
        """float64 `[R, queries]` by strategy: share of the population's hypervolume after every query."""
        whole = pareto.hypervolume(self.population, self.reference) or 1.0
        return {
            name: np.stack(
                [
                    pareto.hypervolume_curve(run, self.reference) / whole
                    for run in self._of(history, history.scores.mean_validation)
                ]
            )
            for name, history in self.histories.items()
        }

    @functools.cached_property
    def front(self) -> ParetoFront:
        """The front over all queries of all strategies and runs."""
        return self.front_of(*self.histories)

    def front_of(self, *strategies: str) -> ParetoFront:
        """The front over all queries of some strategies, by what the search saw.

        Args:
          *strategies: names of strategies.
        """
        gains = np.concatenate([self.gains[name].reshape(-1, self.population.shape[1]) for name in strategies])
        rows = np.concatenate([self.histories[name].rows.ravel() for name in strategies])
        test = np.concatenate([self.histories[name].scores.test.ravel() for name in strategies])
        names = np.concatenate([np.full(self.histories[name].rows.size, name) for name in strategies])
        seeds = np.concatenate([self._seeds(self.histories[name]) for name in strategies])
        members = np.flatnonzero(pareto.non_dominated(gains))
        members = members[np.argsort(-gains[members, 0], kind="stable")]
        signed = zip(self.goals.objectives, gains[members].T, strict=True)
        return ParetoFront(
            self.candidates.space,
            tuple(self.candidates.architecture(row) for row in rows[members].tolist()),
            self.goals.names,
            np.stack([objective.gains(column) for objective, column in signed], axis=1),
            test[members],
            tuple(names[members].tolist()),
            tuple(seeds[members].tolist()),
        )

    @property
    def summary(self) -> dict[str, dict[str, Any]]:
        """Hypervolume of every strategy, and how likely a baseline would be as good by chance.

        `p_random` is the one-sided p-value of Mann and Whitney's test that the hypervolumes of the runs are above those
        of random search; `p_nsga2` compares with NSGA-II.
        """
        rows = {}
        for name, curves in self.hypervolumes.items():
            final = curves[:, -1]
            rows[name] = {
                "runs": len(final),
                "queries": curves.shape[1],
                "hypervolume_mean": float(final.mean()),
                "hypervolume_std": float(final.std()),
                "infeasible": int(np.isnan(self.gains[name]).any(axis=2).sum()),
            }
            for other in _BASELINES:
                if other in self.hypervolumes and other != name:
                    test = scipy.stats.mannwhitneyu(final, self.hypervolumes[other][:, -1], alternative="greater")
                    rows[name][f"p_{other}"] = float(test.pvalue)
        return rows

    def table(self) -> str:
        """Hypervolumes in percent of the population's, mean and deviation over runs, as Markdown.

        Columns have the hypervolumes after 20, 50, 100, 150 and all queries; the p-values are those of all queries.
        """
        baselines = [name for name in _BASELINES if name in self.histories]
        counts = milestones(max(curves.shape[1] for curves in self.hypervolumes.values()))
        rows = []
        for name, row in self.summary.items():
            curves = 100 * self.hypervolumes[name]
            reached = [curves[:, min(count, curves.shape[1]) - 1] for count in counts]
            cells = [f"{volumes.mean():.2f} ± {volumes.std():.2f}" for volumes in reached]
            chances = [f"{row[f'p_{other}']:.1e}" if f"p_{other}" in row else "" for other in baselines]
            rows.append([name, f"{row['runs']}", *cells, *chances])
        columns = [f"hypervolume % after {count}" for count in counts]
        return tables.markdown(["strategy", "runs", *columns, *(f"p against {name}" for name in baselines)], rows)

    def save(self, folder: artefacts.PathLike) -> None:
        """Writes tables and figures.

        `pareto.md` and `pareto.json` hold the front, `results.md` the table of strategies, `summary.json` everything in
        a few numbers, `metrics.jsonl` a line per run. `pareto.png` shows the fronts of the first two objectives,
        `hypervolume.png` the hypervolume against queries.

        Args:
          folder: folder, which is made if it does not exist.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        artefacts.write_text(folder / "pareto.md", self.front.table() + "\n")
        artefacts.write_json(folder / "pareto.json", self.front.records)
        artefacts.write_text(folder / "results.md", self.table() + "\n")
        artefacts.write_json(
            folder / "summary.json",
            {
                "space": self.candidates.space.name,
                "benchmark": self.benchmark,
                "candidates": self.candidates.met,
                "seed": self.seed,
                "objectives": {
                    objective.name: {"direction": "max" if objective.maximise else "min", "known": objective.known}
                    for objective in self.goals.objectives
                },
                "limits": list(map(str, self.goals.limits)),
                "reference": self._values(self.reference),
                "strategies": self.summary,
            },
        )
        records = [
            {"strategy": name, "seed": self.seed + run, "hypervolume": hypervolume}
            for name, curves in self.hypervolumes.items()
            for run, hypervolume in enumerate(curves[:, -1].tolist())
        ]
        artefacts.write_json_lines(folder / "metrics.jsonl", records)
        title = f"{self.candidates.space.name} on {self.benchmark}"
        points = {
            name: np.stack([objective.gains(gains[..., n].ravel()) for n, objective in enumerate(self._pair)], axis=1)
            for name, gains in self.gains.items()
        }
        fronts.pareto_fronts(
            points,
            folder / "pareto.png",
            names=(self._pair[0].name, self._pair[1].name),
            maximise=(self._pair[0].maximise, self._pair[1].maximise),
            title=title,
        )
        fronts.hypervolume_curves(self.hypervolumes, folder / "hypervolume.png", title=title)

    @property
    def _pair(self) -> tuple:
        return self.goals.objectives[:2]

    def _values(self, gains: np.ndarray) -> dict[str, float]:
        pairs = zip(self.goals.objectives, gains, strict=True)
        return {objective.name: float(objective.gains(gain)) for objective, gain in pairs}

    def _of(self, history: History, accuracies: np.ndarray) -> np.ndarray:
        gains = _gains(self.goals, self.candidates.cells[history.rows.ravel()], accuracies.ravel())
        return gains.reshape(*history.rows.shape, -1)

    def _seeds(self, history: History) -> np.ndarray:
        return np.repeat(self.seed + np.arange(len(history.rows)), history.rows.shape[1])


def _gains(goals: Goals, cells: Any, accuracies: np.ndarray) -> np.ndarray:
    """float64 `[n, m]`: gains, NaN where not feasible."""
    return np.where(goals.feasible(cells, accuracies)[:, None], goals.gains(cells, accuracies), np.nan)
