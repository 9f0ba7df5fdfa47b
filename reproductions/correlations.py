"""Rank correlations of predictions with accuracies."""

import numpy as np
import scipy.stats


def spearman(first: np.ndarray, second: np.ndarray, nan_policy: str = "propagate") -> float:
    """Spearman's rank correlation of values `[n]` with values `[n]`."""
    return float(scipy.stats.spearmanr(first, second, nan_policy=nan_policy).statistic)


def kendall(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's rank correlation of values `[n]` with values `[n]`."""
    return float(scipy.stats.kendalltau(first, second).statistic)
