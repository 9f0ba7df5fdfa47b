"""What tells a guided search which candidates are worth a query: a predictor that learns, or fixed scores."""

import abc
from collections.abc import Callable

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.features import Embed, GraphFeatures
from tfnas.search.base import Candidates
from tfnas.spaces import CellTable, Space

Featurizer = Callable[[CellTable], list[np.ndarray]]
_REFERENCE = 1000


class Guide(abc.ABC):
    """Ranks candidates for every one of R runs.

    Attributes:
      labels: queries that a run needs before its candidates can be ranked; they count as queries like all others.
    """

    labels: int = 0

    def learn(self, rows: np.ndarray, scores: np.ndarray) -> None:  # noqa: B027 (optional hook)
        """Takes all that was measured so far: candidates int `[R, n]` and their accuracies `[R, n]`."""

    @abc.abstractmethod
    def merit(self, run: int, rows: np.ndarray) -> np.ndarray:
        """How promising candidates int `[m]` are, float `[m]`, the higher the better; never NaN."""


class ScoreGuide(Guide):
    """Fixed scores of all candidates, such as a zero-cost proxy.

    Args:
      scores: float `[N]`; candidates without a finite score come last.

    Raises:
      ConfigurationError: no score is finite.
    """

    def __init__(self, scores: np.ndarray):
        scores = np.asarray(scores, np.float64)
        if not np.isfinite(scores).any():
            raise ConfigurationError("no candidate has a finite score to guide the search")
        self._scores = np.where(np.isfinite(scores), scores, -np.inf)

    def merit(self, run: int, rows: np.ndarray) -> np.ndarray:
        return self._scores[rows]


class PredictorGuide(Guide):
    """A Gaussian process on features of the candidates' computation graphs, fitted to the run's own queries.

    Args:
      candidates: what is ranked.
      featurize: from cells to blocks of features `[n, D_b]`.
      labels: queries before the first fit.
      optimism: candidates are ranked by mean plus so many deviations.
    """

    def __init__(self, candidates: Candidates, featurize: Featurizer, labels: int = 50, optimism: float = 0.5):
        self.labels = labels
        self._candidates, self._featurize, self._optimism = candidates, featurize, optimism
        self._places: dict[int, int] = {}
        self._blocks: list[np.ndarray] = []
        self._model: AdditiveGP | None = None

    def learn(self, rows: np.ndarray, scores: np.ndarray) -> None:
        blocks = self._features(rows.ravel())
        self._model = AdditiveGP().fit([block.reshape(*rows.shape, -1) for block in blocks], scores)

    def merit(self, run: int, rows: np.ndarray) -> np.ndarray:
        if self._model is None:
            raise ConfigurationError("a predictor ranks nothing before it has learned")
        mean, deviation = self._model.predict(self._features(rows), run)
        return mean + self._optimism * deviation

    def _features(self, rows: np.ndarray) -> list[np.ndarray]:
        """Blocks of some candidates; each candidate's are made once."""
        new = [row for row in dict.fromkeys(rows.tolist()) if row not in self._places]
        if new:
            made = self._featurize(self._candidates.cells[np.array(new)])
            self._places.update({row: len(self._places) + number for number, row in enumerate(new)})
            before = self._blocks or [part[:0] for part in made]
            self._blocks = [np.concatenate(pair) for pair in zip(before, made, strict=True)]
        places = [self._places[row] for row in rows.tolist()]
        return [block[places] for block in self._blocks]


def graph_featurizer(
    space: Space, sample: CellTable, *, layout: str, embed: Embed | None = None, num_workers: int = 1
) -> Featurizer:
    """Features of computation graphs, scaled by a sample of the space.

    Args:
      space: search space with networks.
      sample: some random architectures; at most 1,000 are used.
      layout: see `networks.symbolic.build`.
      embed: an encoder of computation graphs, if embeddings shall be among the features.
      num_workers: processes that build graphs.
    """
    from tfnas.networks.symbolic.packing import pack_cells

    def pack(cells: CellTable):
        return pack_cells(space, cells, layout=layout, num_workers=num_workers)

    names = ("structure", "operators", "neighbourhoods", *(("embedding",) if embed else ()))
    features = GraphFeatures(pack(sample[:_REFERENCE]), names, embed)
    return lambda cells: features.transform(pack(cells))
