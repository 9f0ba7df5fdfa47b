"""What a predictor has to beat: numbers that need no learning, and a ridge regression on counts of operators."""

from collections.abc import Mapping

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tfnas.graphs.packed import PackedGraphs
from tfnas.graphs.structure import STRUCTURE
from tfnas.predictors.graph_numbers import COUNTS, NUMBERS
from tfnas.reports import tables

SIZES = ("parameters", "multiply-adds", "depth", "activation functions")
"""Baselines without labels."""

RIDGE = "ridge on counts"
"""The baseline with labels: counts of all operators and of kernels, as logarithms."""

_PENALTIES = np.logspace(-2, 4, 13)


def sizes(graphs: PackedGraphs, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """The baselines `SIZES` of N graphs.

    Args:
      graphs: N graphs.
      numbers: numbers of `graph_numbers`, float `[N, K]`.

    Returns:
      A score float `[N]` for each name.
    """
    columns = (graphs.structure[:, STRUCTURE.index(f"log_{name}")] for name in ("parameters", "multiply_adds"))
    depth = graphs.structure[:, STRUCTURE.index("depth")]
    return dict(zip(SIZES, (*columns, depth, numbers[:, NUMBERS.index("total activation")]), strict=True))


def ridge_on_counts(numbers: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Predictions of a ridge regression, whose penalty is chosen by leave-one-out errors.

    Args:
      numbers: `graph_numbers` of n labelled graphs, `[n, K]`.
      labels: accuracies `[n]`.
      queries: `graph_numbers` of m graphs, `[m, K]`.

    Returns:
      float64 `[m]`.
    """
    model = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))
    count = len(COUNTS)
    return model.fit(numbers[:, :count], labels).predict(queries[:, :count])


def comparison(learned: Mapping[str, float | None], baselines: Mapping[str, Mapping[str, float | None]]) -> str:
    """A Markdown table of rank correlations: a row per family, the learned score beside all baselines."""
    names = list(next(iter(baselines.values()))) if baselines else []
    rows = [
        [family, *("-" if value is None else f"{value:.3f}" for value in (score, *baselines[family].values()))]
        for family, score in learned.items()
    ]
    return tables.markdown(["family", "learned", *names], rows)
