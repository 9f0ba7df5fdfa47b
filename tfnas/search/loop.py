"""The one loop that runs strategies: ask, evaluate, tell, save; killed at any point, it resumes to the same result."""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks import Evaluator, Scores
from tfnas.errors import CorruptArtefactError
from tfnas.search import get_strategy
from tfnas.search.base import Candidates, Strategy
from tfnas.search.open_candidates import OpenCandidates

_SECONDS_BETWEEN_STATES = 20.0
_OUTCOME = "outcome_"


@dataclasses.dataclass(frozen=True)
class History:
    """All queries of R runs.

    Attributes:
      rows: int64 `[R, queries]`, which candidates.
      scores: what the benchmark answered, arrays `[R, queries]`.
    """

    rows: np.ndarray
    scores: Scores

    @classmethod
    def joined(cls, histories: Sequence["History"]) -> "History":
        """The runs of several histories; shorter ones repeat their last query."""
        queries = max(history.rows.shape[1] for history in histories)

        def join(parts: Iterable[np.ndarray]) -> np.ndarray:
            return np.concatenate([np.pad(part, ((0, 0), (0, queries - part.shape[1])), "edge") for part in parts])

        names = [field.name for field in dataclasses.fields(Scores)]
        scores = Scores(*(join(getattr(history.scores, name) for history in histories) for name in names))
        return cls(join(history.rows for history in histories), scores)

    @property
    def best(self) -> np.ndarray:
        """int64 `[R]`: the query with the highest validation accuracy, the first of equal ones."""
        return self.scores.validation.argmax(axis=1)

    def within(self, budget_seconds: float) -> "History":
        """The history in which queries that begin after a run's budget is spent have accuracy 0."""
        begun = np.cumsum(self.scores.cost_seconds, axis=1) - self.scores.cost_seconds < budget_seconds
        scores = dataclasses.replace(
            self.scores,
            validation=np.where(begun, self.scores.validation, 0.0),
            test=np.where(begun, self.scores.test, 0.0),
        )
        return History(self.rows, scores)

    def at_best(self, values: np.ndarray) -> np.ndarray:
        """`[R]` out of `[R, queries]`."""
        return np.take_along_axis(values, self.best[:, None], axis=1)[:, 0]


def run_search(
    strategy: Strategy,
    evaluator: Evaluator,
    queries: int,
    folder: pathlib.Path,
    bar: tqdm,
    *,
    budget_seconds: float | None = None,
    known: Scores | None = None,
) -> History:
    """Spends `queries` queries in every run, continuing what `folder` holds.

    Writes `state.npz`: the strategy and all answers so far. After every batch if architectures are trained, so that
    at most one batch is lost; every 20 seconds if answers are looked up.

    Args:
      strategy: a fresh strategy for R runs.
      evaluator: the benchmark.
      queries: the budget of each run, what is already in `folder` included.
      folder: the strategy's own folder.
      bar: progress over all queries.
      budget_seconds: stop as soon as every run has spent so much training time, even before `queries`.
      known: answers `[R, k]` that the strategy was told with `know`; they count as the first queries.

    Raises:
      CorruptArtefactError: `folder` holds the state of something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "state.npz"
    answers = [] if known is None else [known]
    if path.exists():
        state = artefacts.read_npz(path)
        answers = [_outcome(path, state, strategy)]
        bar.update(answers[0].validation.size)
    saved = time.monotonic()
    spent = sum((part.cost_seconds.sum(axis=1) for part in answers), np.zeros(strategy.runs))
    while strategy.rows.shape[1] < queries and (budget_seconds is None or spent.min() < budget_seconds):
        rows = strategy.suggest(min(queries - strategy.rows.shape[1], evaluator.batch or queries))
        scores = evaluator.query_cells(strategy.candidates.cells[rows.ravel()])
        answers.append(_reshaped(scores, rows.shape))
        strategy.update(rows, answers[-1].validation)
        spent += answers[-1].cost_seconds.sum(axis=1)
        bar.update(rows.size)
        if evaluator.batch or time.monotonic() - saved > _SECONDS_BETWEEN_STATES:
            outcome = dataclasses.asdict(_joined(answers))
            artefacts.write_npz(path, **strategy.state(), **{_OUTCOME + name: part for name, part in outcome.items()})
            saved = time.monotonic()
    return History(strategy.rows, _joined(answers))


def run_experiment(
    names: Sequence[str],
    candidates: Candidates | OpenCandidates,
    evaluator: Evaluator,
    output_dir: pathlib.Path,
    *,
    queries: int,
    runs: int,
    seed: int,
    make: Callable[[str, Candidates, Sequence[int]], Strategy] = get_strategy,
) -> dict[str, History]:
    """Compares strategies over independent runs with the seeds `seed`, `seed + 1`, ...

    Args:
      names: strategies.
      candidates: what they choose from.
      evaluator: the benchmark; it may remember what it answered.
      output_dir: gets `results.json` (per strategy and run the `validation` and `test` accuracy of the best candidate
        and its name; the same bytes for the same seed), and for every strategy a folder with `history.npz`.
      queries: budget of every run.
      runs: runs per strategy.
      seed: of the first run.
      make: gives the strategy of a name, for candidates and seeds.
    """
    histories: dict[str, History] = {}
    with tqdm(total=queries * runs * len(names), desc="Searching", unit="query", unit_scale=True) as bar:
        for name in names:
            folder = output_dir / "strategies" / name
            finished = folder / "history.npz"
            if finished.exists():
                histories[name] = _read_history(finished)
                if isinstance(candidates, OpenCandidates):
                    candidates.load_state(artefacts.read_npz(finished))
                bar.update(histories[name].rows.size)
                continue
            strategy = make(name, candidates, range(seed, seed + runs))
            histories[name] = run_search(strategy, evaluator, queries, folder, bar)
            outcome = dataclasses.asdict(histories[name].scores)
            met = candidates.state() if isinstance(candidates, OpenCandidates) else {}
            artefacts.write_npz(finished, rows=histories[name].rows, **outcome, **met)
            (folder / "state.npz").unlink(missing_ok=True)
    results = {
        name: {
            "validation": history.at_best(history.scores.validation).tolist(),
            "test": history.at_best(history.scores.test).tolist(),
            "best": [
                candidates.space.to_string(candidates.architecture(row))
                for row in history.at_best(history.rows).tolist()
            ],
        }
        for name, history in histories.items()
    }
    artefacts.write_json(output_dir / "results.json", results)
    return histories


def summarise(histories: Mapping[str, History]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation over runs, per strategy."""
    summary = {}
    for name, history in histories.items():
        row: dict[str, float] = {"runs": history.rows.shape[0], "queries": history.rows.shape[1]}
        for key, values in (
            ("validation", history.at_best(history.scores.validation)),
            ("test", history.at_best(history.scores.test)),
            ("seconds", history.scores.cost_seconds.sum(axis=1)),
        ):
            row[f"{key}_mean"] = float(np.mean(values))
            row[f"{key}_std"] = float(np.std(values))
        row["failed"] = int(history.scores.failed.sum())
        summary[name] = row
    return summary


def _reshaped(scores: Scores, shape: tuple[int, ...]) -> Scores:
    return Scores(*(getattr(scores, field.name).reshape(shape) for field in dataclasses.fields(Scores)))


def _joined(answers: list[Scores]) -> Scores:
    names = [field.name for field in dataclasses.fields(Scores)]
    return Scores(*(np.concatenate([getattr(part, name) for part in answers], axis=1) for name in names))


def _outcome(path: pathlib.Path, state: Mapping[str, Any], strategy: Strategy) -> Scores:
    """Loads the strategy's state and returns the answers beside it."""
    try:
        scores = Scores(*(state[_OUTCOME + field.name] for field in dataclasses.fields(Scores)))
        strategy.load_state({name: part for name, part in state.items() if not name.startswith(_OUTCOME)})
    except (KeyError, CorruptArtefactError) as error:
        raise CorruptArtefactError(f"{path}: not a saved {strategy.name} search ({error})") from error
    if not np.array_equal(scores.validation, strategy.scores):
        raise CorruptArtefactError(f"{path}: its answers are not those that the strategy was told")
    return scores


def _read_history(path: pathlib.Path) -> History:
    arrays = artefacts.read_npz(path)
    try:
        return History(arrays["rows"], Scores(*(arrays[field.name] for field in dataclasses.fields(Scores))))
    except KeyError as error:
        raise CorruptArtefactError(f"{path}: not the history of a search ({error} is missing)") from error
