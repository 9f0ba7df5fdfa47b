"""The one loop that runs strategies: ask, evaluate, tell, save; killed at any point, it resumes to the same result."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks import Evaluator, Score, Scores
from tfnas.errors import CorruptArtefactError
from tfnas.reports import tables
from tfnas.search import get_strategy
from tfnas.search.base import Candidates, Strategy
from tfnas.search.engines import Engine
from tfnas.search.open_candidates import OpenCandidates

_SECONDS_BETWEEN_STATES = 20.0
_OUTCOME, _PENDING = "outcome_", "pending"


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
    def joined(cls, histories: Sequence[History]) -> History:
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

    def within(self, budget_seconds: float) -> History:
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


@dataclasses.dataclass(frozen=True)
class _Question:
    """Rows `[R, k]` that are being scored: by now, or by an engine."""

    rows: np.ndarray
    answers: Scores | Sequence[concurrent.futures.Future[Score]]

    def answered(self) -> bool:
        return isinstance(self.answers, Scores) or all(answer.done() for answer in self.answers)

    def scores(self) -> Scores:
        """Arrays `[R, k]`; waits for them."""
        answers = self.answers
        if not isinstance(answers, Scores):
            answers = Scores.of([answer.result() for answer in answers])
        return Scores(*(getattr(answers, field.name).reshape(self.rows.shape) for field in dataclasses.fields(Scores)))


def run_search(
    strategy: Strategy,
    evaluator: Evaluator,
    queries: int,
    folder: pathlib.Path,
    bar: tqdm,
    *,
    budget_seconds: float | None = None,
    known: Scores | None = None,
    engine: Engine | None = None,
    asynchronous: bool = False,
) -> History:
    """Spends `queries` queries in every run, continuing what `folder` holds.

    Writes `state.npz`: the strategy, all answers so far and what is being scored. After every answer if architectures
    are trained, so that no answer is lost; every 20 seconds if answers are looked up.

    With an engine of W workers the strategy is asked for the next rows while earlier ones are still being scored, so
    that at least W are. It is told their scores in the order in which it asked, which makes the result independent of
    how long each took.

    Args:
      strategy: a fresh strategy for R runs.
      evaluator: the benchmark.
      queries: the budget of each run, what is already in `folder` included.
      folder: the strategy's own folder.
      bar: progress over all queries.
      budget_seconds: stop as soon as every run has spent so much training time, even before `queries`.
      known: answers `[R, k]` that the strategy was told with `know`; they count as the first queries.
      engine: scores for the evaluator, in other processes.
      asynchronous: tell every score as soon as it is there. No worker waits for another's straggler, but the result
        depends on who was faster.

    Raises:
      CorruptArtefactError: `folder` holds the state of something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "state.npz"
    answers = [] if known is None else [known]
    pending: list[_Question] = []

    def ask(rows: np.ndarray) -> _Question:
        if engine is None:
            return _Question(rows, evaluator.query_cells(strategy.candidates.cells[rows.ravel()]))
        return _Question(rows, [engine.submit(strategy.candidates.architecture(row)) for row in rows.ravel().tolist()])

    if path.exists():
        state = artefacts.read_npz(path)
        answers = [_outcome(path, state, strategy)]
        pending = [ask(column[:, None]) for column in state[_PENDING].T]
        bar.update(answers[0].validation.size)
    saved = time.monotonic()
    spent = sum((part.cost_seconds.sum(axis=1) for part in answers), np.zeros(strategy.runs))
    while strategy.rows.shape[1] < queries and (budget_seconds is None or spent.min() < budget_seconds):
        while strategy.asked < queries and (
            not pending or (engine is not None and sum(question.rows.size for question in pending) < engine.workers)
        ):
            rows = strategy.suggest(min(queries - strategy.asked, evaluator.batch or queries))
            if not rows.size:  # it waits for scores
                break
            pending.append(ask(rows))
        question = _next(pending, asynchronous)
        rows, scores = question.rows, question.scores()
        answers.append(scores)
        strategy.update(rows, scores.validation)
        spent += scores.cost_seconds.sum(axis=1)
        bar.update(rows.size)
        if evaluator.batch or time.monotonic() - saved > _SECONDS_BETWEEN_STATES:
            outcome = dataclasses.asdict(_joined(answers))
            asked = np.concatenate([np.zeros((strategy.runs, 0), np.int64), *(part.rows for part in pending)], axis=1)
            artefacts.write_npz(
                path,
                **strategy.state(),
                **{_OUTCOME + name: part for name, part in outcome.items()},
                **{_PENDING: asked},
            )
            saved = time.monotonic()
    return History(strategy.rows, _joined(answers))


def _next(pending: list[_Question], asynchronous: bool) -> _Question:
    """Takes the oldest question, or the first that is answered, out of the list."""
    while asynchronous:
        for place, question in enumerate(pending):
            if question.answered():
                return pending.pop(place)
        waiting = [answer for question in pending for answer in question.answers if not answer.done()]
        concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
    return pending.pop(0)


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
    engine: Engine | None = None,
    asynchronous: bool = False,
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
      engine: see `run_search`.
      asynchronous: see `run_search`.
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
            histories[name] = run_search(
                strategy, evaluator, queries, folder, bar, engine=engine, asynchronous=asynchronous
            )
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


def _joined(answers: list[Scores]) -> Scores:
    names = [field.name for field in dataclasses.fields(Scores)]
    return Scores(*(np.concatenate([getattr(part, name) for part in answers], axis=1) for name in names))


def _outcome(path: pathlib.Path, state: Mapping[str, Any], strategy: Strategy) -> Scores:
    """Loads the strategy's state and returns the answers beside it."""
    try:
        scores = Scores(*(state[_OUTCOME + field.name] for field in dataclasses.fields(Scores)))
        strategy.load_state({name: part for name, part in state.items() if not name.startswith((_OUTCOME, _PENDING))})
        if state[_PENDING].shape[0] != strategy.runs:
            raise CorruptArtefactError(f"{len(state[_PENDING])} runs wait for scores")
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


def search_table(summary: Mapping[str, Mapping[str, float]]) -> str:
    """What `search.loop.summarise` returned: accuracies in percent, mean and deviation over runs."""
    rows = [
        [
            name,
            f"{row['runs']:.0f}",
            f"{row['queries']:.0f}",
            f"{100 * row['validation_mean']:.2f} ± {100 * row['validation_std']:.2f}",
            f"{100 * row['test_mean']:.2f} ± {100 * row['test_std']:.2f}",
            f"{row['seconds_mean']:.1f}",
        ]
        for name, row in summary.items()
    ]
    columns = ["strategy", "runs", "queries per run", "best validation %", "its test %", "training seconds per run"]
    return tables.markdown(columns, rows)
