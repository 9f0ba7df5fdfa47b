"""Extremely randomised trees whose disagreement is the uncertainty.

References:
  Geurts et al. 2006, "Extremely randomized trees".
  Hutter et al. 2011, "Sequential Model-Based Optimization for General Algorithm Configuration".
"""

from collections.abc import Sequence

import numpy as np
import sklearn
from sklearn.tree import ExtraTreeRegressor

from tfnas.predictors.base import example_sets
from tfnas.runtime import in_threads


class Forest:
    """R forests of randomised trees.

    >>> inputs = np.arange(8.0)[:, None]
    >>> mean, stddev = Forest([0]).fit(inputs, inputs[:, 0]).predict(inputs)
    >>> bool((np.diff(mean) > 0).all()), stddev.shape
    (True, (8,))

    Args:
      seeds: seeds of the R forests.
      trees: number of trees of a forest.
      share: share of the features that a split sees.
    """

    def __init__(self, seeds: Sequence[int], trees: int = 25, share: float = 0.5):
        self.seeds, self._count, self._share = list(seeds), trees, share
        self._trees: list[list[ExtraTreeRegressor]] = []

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> "Forest":
        """Grows the forests on float `[R, n, D]` and `[R, n]`, or one forest on `[n, D]` and `[n]`.

        Raises:
          ConfigurationError: fewer than two examples, other shapes, another number of seeds, NaN or infinity.
        """
        inputs, targets = example_sets(inputs, targets, len(self.seeds))
        inputs = np.ascontiguousarray(inputs, np.float32)

        # The trees are those of `sklearn.ensemble.ExtraTreesRegressor`, which copies and checks settings tree by tree.
        def grow(run: int) -> list[ExtraTreeRegressor]:
            seeds = np.random.RandomState(self.seeds[run]).randint(np.iinfo(np.int32).max, size=self._count)
            trees = [ExtraTreeRegressor(max_features=self._share, random_state=seed) for seed in seeds.tolist()]
            with sklearn.config_context(skip_parameter_validation=True):
                return [tree.fit(inputs[run], targets[run, :, None], check_input=False) for tree in trees]

        self._trees = in_threads(grow, range(len(inputs)))
        return self

    def predict(self, inputs: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation over the trees of forest `run`, float64 `[m]` each, for float `[m, D]`."""
        inputs = np.asarray(inputs, np.float32)
        # The trees themselves are asked: every `predict` of scikit-learn checks its input again.
        values = np.stack([tree.tree_.predict(inputs)[:, 0] for tree in self._trees[run]])
        return values.mean(axis=0), values.std(axis=0)
