"""The one loop that runs strategies: ask, evaluate, tell, save; killed at any point, it resumes to the same result."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks import Evaluator, Score, Scores
from tfnas.errors import ConfigurationError, CorruptArtefactError, ExhaustedError
from tfnas.search.base import Strategy, running_best
from tfnas.search.engines import Engine

_SECONDS_BETWEEN_STATES = 20.0
_HOPELESS_TRIALS = 10
_OUTCOME, _PENDING = "outcome_", "pending"


@dataclasses.dataclass(frozen=True)
class History:
    """All queries of R runs.

    Attributes:
      rows: queried candidates, int64 `[R, queries]`.
      scores: answers of the benchmark, arrays `[R, queries]`.
      picks: int64 `[R, queries]`, the query that the strategy's model holds for the best, after each query; of a
        strategy without such a model, and by default, the best seen.
    """

    rows: np.ndarray
    scores: Scores
    picks: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.picks is None:
            object.__setattr__(self, "picks", running_best(self.scores.validation))

    @property
    def best(self) -> np.ndarray:
        """int64 `[R]`: the query with the highest validation accuracy, the first of equal queries."""
        return self.scores.validation.argmax(axis=1)

    @property
    def picks_by_model(self) -> bool:
        """Whether a model of the strategy picks other queries than the best seen."""
        return not np.array_equal(self.picks, running_best(self.scores.validation))

    def at_best(self, values: np.ndarray) -> np.ndarray:
        """Values `[R]` of the best queries, out of `[R, queries]`."""
        return np.take_along_axis(values, self.best[:, None], axis=1)[:, 0]

    def trace(self, name: str, by_model: bool = False) -> np.ndarray:
        """Scores `[R, queries]` of the best query so far, after every query.

        Args:
          name: name of an array of `Scores`.
          by_model: True for the strategy's `picks` in place of the best validation accuracies.
        """
        chosen = self.picks if by_model else running_best(self.scores.validation)
        return np.take_along_axis(getattr(self.scores, name), chosen, axis=1)

    def arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays that `read_history` reads back."""
        return {"rows": self.rows, "picks": self.picks, **dataclasses.asdict(self.scores)}


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
        return answers[np.arange(self.rows.size).reshape(self.rows.shape)]


def run_search(
    strategy: Strategy,
    evaluator: Evaluator,
    queries: int,
    folder: pathlib.Path | None,
    bar: tqdm,
    *,
    budget_seconds: float | None = None,
    known: Scores | None = None,
    engine: Engine | None = None,
    asynchronous: bool = False,
) -> History:
    """Spends `queries` queries in every run, continuing the search that `folder` holds.

    Writes `state.npz`: the strategy, all answers so far and the rows that are being scored. After every answer if
    architectures are trained, so that no answer is lost; every 20 seconds if answers are looked up.

    With an engine of W workers the strategy is asked for the next rows while earlier rows are still being scored, so
    that at least W are. It is told their scores in the order in which it asked, which makes the result independent of
    how long each took.

    The search ends before its budget where no architecture is left.

    Args:
      strategy: fresh strategy for R runs.
      evaluator: the benchmark.
      queries: budget of each run, queries in `folder` included.
      folder: folder of the strategy's state; None writes nothing.
      bar: progress over all queries.
      budget_seconds: training time that ends the search, even before `queries`, when every run has spent it.
      known: answers `[R, k]` that the strategy was told with `know`; they count as the first queries.
      engine: processes that score for the evaluator.
      asynchronous: True tells every score as soon as it is there. No worker waits for another's straggler, but the
        result depends on who was faster.

    Raises:
      ConfigurationError: the first ten trials failed, or all of fewer.
      CorruptArtefactError: `folder` holds the state of something else.
    """
    path = None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "state.npz"
    answers = [] if known is None else [known]
    pending: list[_Question] = []

    def ask(rows: np.ndarray) -> _Question:
        if engine is None:
            seeds = np.repeat(np.array(strategy.seeds, np.int64), rows.shape[1])
            return _Question(rows, evaluator.query_cells(strategy.candidates.cells[rows.ravel()], seeds))
        return _Question(rows, [engine.submit(strategy.candidates.architecture(row)) for row in rows.ravel().tolist()])

    if path is not None and path.exists():
        state = artefacts.read_npz(path)
        answers = [_outcome(path, state, strategy)]
        pending = [ask(column[:, None]) for column in state[_PENDING].T]
        bar.update(answers[0].validation.size)
    saved = time.monotonic()
    spent = sum((scores.cost_seconds.sum(axis=1) for scores in answers), np.zeros(strategy.runs))
    while strategy.rows.shape[1] < queries and (budget_seconds is None or spent.min() < budget_seconds):
        # Ask until every worker has a row, or, without workers, once.
        while strategy.asked < queries and (
            not pending or (engine is not None and sum(question.rows.size for question in pending) < engine.workers)
        ):
            rows = _suggested(strategy, min(queries - strategy.asked, evaluator.batch or queries))
            if not rows.size:  # the strategy waits for scores, or nothing is left
                break
            pending.append(ask(rows))
        if not pending:
            break
        question = _next(pending, asynchronous)
        rows, scores = question.rows, question.scores()
        answers.append(scores)
        strategy.update(rows, scores.validation)
        spent += scores.cost_seconds.sum(axis=1)
        bar.update(rows.size)
        if path is not None and (evaluator.batch or time.monotonic() - saved > _SECONDS_BETWEEN_STATES):
            _save(path, strategy, answers, pending)
            saved = time.monotonic()
        hopeless = strategy.rows.size >= _HOPELESS_TRIALS or strategy.rows.shape[1] >= queries
        if evaluator.batch and hopeless and all(scores.failed.all() for scores in answers):
            raise ConfigurationError(
                f"all of the first {strategy.rows.size} trials failed, the last: {scores.failure.ravel()[-1]}"
            )
    return History(strategy.rows, _joined(answers), strategy.picks)


def read_history(arrays: Mapping[str, np.ndarray], path: pathlib.Path) -> History:
    """The history that `History.arrays` wrote to a file.

    Args:
      arrays: arrays of the file.
      path: path of the file, for the error.

    Raises:
      CorruptArtefactError: an array is missing.
    """
    try:
        scores = Scores(*(arrays[field.name] for field in dataclasses.fields(Scores)))
        return History(arrays["rows"], scores, arrays["picks"])
    except KeyError as error:
        raise CorruptArtefactError(f"{path}: not the history of a search ({error} is missing)") from error


def _suggested(strategy: Strategy, count: int) -> np.ndarray:
    """Rows to score next, int64 `[R, k]`; none if the strategy waits for scores or nothing is left."""
    try:
        return strategy.suggest(count)
    except ExhaustedError:
        return np.zeros((strategy.runs, 0), np.int64)


def _next(pending: list[_Question], asynchronous: bool) -> _Question:
    """Takes the oldest question, or the first that is answered, out of the list."""
    while asynchronous:
        for position, question in enumerate(pending):
            if question.answered():
                return pending.pop(position)
        waiting = [answer for question in pending for answer in question.answers if not answer.done()]
        concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
    return pending.pop(0)


def _save(path: pathlib.Path, strategy: Strategy, answers: list[Scores], pending: list[_Question]) -> None:
    """Writes the state of a search."""
    outcome = dataclasses.asdict(_joined(answers))
    asked = np.concatenate([np.zeros((strategy.runs, 0), np.int64), *(question.rows for question in pending)], axis=1)
    artefacts.write_npz(
        path,
        **strategy.state(),
        **{_OUTCOME + name: values for name, values in outcome.items()},
        **{_PENDING: asked},
    )


def _joined(answers: list[Scores]) -> Scores:
    return Scores.combined(lambda arrays: np.concatenate(arrays, axis=1), answers)


def _outcome(path: pathlib.Path, state: Mapping[str, Any], strategy: Strategy) -> Scores:
    """Loads the strategy's state and returns the answers beside it."""
    try:
        scores = Scores(*(state[_OUTCOME + field.name] for field in dataclasses.fields(Scores)))
        strategy.load_state({name: array for name, array in state.items() if not name.startswith((_OUTCOME, _PENDING))})
        if state[_PENDING].shape[0] != strategy.runs:
            raise CorruptArtefactError(f"{len(state[_PENDING])} runs wait for scores")
    except (KeyError, CorruptArtefactError) as error:
        raise CorruptArtefactError(f"{path}: not a saved {strategy.name} search ({error})") from error
    if not np.array_equal(scores.validation, strategy.scores):
        raise CorruptArtefactError(f"{path}: its answers are not those that the strategy was told")
    return scores
