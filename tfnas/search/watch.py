"""What a search that trains tells its user on the way: the cost, failures, and scores that tell nothing apart."""

import threading
from collections.abc import Callable, Iterable

import numpy as np

from tfnas.benchmarks import Score

_CEILING, _ENOUGH = 0.98, 5


class Watch:
    """Takes the score of every training as soon as there is one, and says a line when the user should know something.

    Args:
      trainings: largest number of trainings that are to come.
      workers: number of trainings at a time.
      metric: name of the score.
      say: function that shows a line.

    Example:
      >>> watch = Watch(40, workers=2, metric="accuracy", say=print)
      >>> watch(Score(0.9, 0.9, cost_seconds=30.0))
      First training: 30 s. 39 more take about 9.8 min; Ctrl-C stops, --resume continues.
    """

    def __init__(self, trainings: int, workers: int, metric: str, say: Callable[[str], None]):
        self._trainings, self._workers, self._metric, self._say = trainings, max(1, workers), metric, say
        self._lock = threading.Lock()
        self._scores: list[Score] = []
        self._warned = False

    def __call__(self, score: Score) -> None:
        with self._lock:
            self._scores.append(score)
            count, failures = len(self._scores), sum(bool(score.failure) for score in self._scores)
            if count == 1:
                self._say(self._cost(score.cost_seconds))
            if score.failure and failures == 1:
                self._say(f"A training failed, which counts as {self._metric} 0: {score.failure}")
            if count == _ENOUGH:
                self._warn([score.validation for score in self._scores])

    def conclude(self, scores: Iterable[np.ndarray]) -> None:
        """Warns if the scores of a whole search tell nothing apart, unless the first trainings said so.

        Args:
          scores: validation scores of every strategy's queries.
        """
        if not self._warned:
            self._warn(np.concatenate([values.ravel() for values in scores]))

    def _cost(self, seconds: float) -> str:
        more = self._trainings - 1
        rest = (
            f" {more:,} more take about {duration(more * seconds / self._workers)}; Ctrl-C stops, --resume continues."
        )
        return f"First training: {duration(seconds)}.{rest if more > 0 else ''}"

    def _warn(self, scores: Iterable[float]) -> None:
        lowest = min(scores)
        if lowest > _CEILING:
            self._warned = True
            self._say(
                f"Warning: the search can't tell architectures apart: every training reaches {lowest:.1%} or more "
                f"{self._metric}. Fewer channels or epochs, or harder images, spread the scores."
            )


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> [duration(seconds) for seconds in (0.25, 47, 600, 9000, 400_000)]
    ['0.2 s', '47 s', '10 min', '2.5 h', '4.6 days']
    """
    for unit, size, least in (("days", 86400, 172800), ("h", 3600, 7200), ("min", 60, 120)):
        if seconds >= least:
            return f"{seconds / size:.2g} {unit}" if seconds / size < 10 else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
