"""Zero-cost proxies against accuracies and against published scores, and what they add to a predictor.

References:
  Han et al. 2023, table of Spearman correlations; Abdelfattah et al. 2021.
"""

import pathlib

import numpy as np
import scipy.stats

from reproductions import report
from reproductions.correlations import spearman
from reproductions.predictor.settings import Settings
from tfnas.benchmarks.registry import find_table, load_table
from tfnas.benchmarks.trained.images import batch_of_images
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.features import GraphFeatures, standardised
from tfnas.proxies import PROXIES
from tfnas.proxies.spaces import scorer
from tfnas.proxies.tables import read_scores, score_cells
from tfnas.spaces import NONE, CellTable, NASBench201, NASBench301

PAPER = {"synflow": 0.823, "jacov": 0.859, "fisher": 0.687, "grad_norm": 0.714, "grasp": 0.637, "snip": 0.718}
"""NAS-Bench-201, the 4,096 cells without `none`."""

_RESAMPLES = 1000
_LABELS = 40
_DARTS_CELLS = 30  # pairs of NAS-Bench-301, whose networks are built one by one


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment.

    Args:
      output_dir: an existing folder.
      settings: seed, cells of NAS-Bench-201 that are scored, and sets of 40 labels for the predictors.
    """
    seed = settings.seed
    images, labels = batch_of_images(find_table("cifar10_subset"), 64, seed)
    folder = output_dir / "proxies" / "nasbench201"
    space = NASBench201()
    if not (folder / "scores.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        chosen = space.sample_without(NONE, settings.proxy_cells, np.random.default_rng(seed))
        score_cells(space, chosen, scorer(space, images, labels, PROXIES, seed), folder)
    scored, columns = read_scores(folder / "scores.npz", space)
    table = load_table("nasbench201")
    accuracy = table.values("cifar10_test_accuracy_200")[table.rows(scored)]
    graphs = pack_cells(space, scored)
    sizes = {"parameters": graphs.structure[:, 0], "multiply-adds": graphs.structure[:, 1]}
    correlations = {name: spearman(values, accuracy, "omit") for name, values in {**columns, **sizes}.items()}
    published, ours = _darts(output_dir, images, labels, seed)
    agreement = {name: spearman(ours[name], published[name], "omit") for name in PROXIES}
    intervals = published_agreement(scored, columns, seed)
    predictors = _predictors(graphs, columns, accuracy, settings.runs, seed)
    rows = [
        [
            name,
            f"{correlations[name]:.3f}",
            f"{PAPER[name]:.3f}" if name in PAPER else "",
            f"{correlations[name] - PAPER[name]:+.3f}" if name in PAPER else "",
            f"{agreement[name]:.3f}" if name in agreement else "",
        ]
        for name in correlations
    ]
    within = [name for name in PAPER if abs(correlations[name] - PAPER[name]) <= 0.05]
    comparison = [
        f"{len(scored)} cells of NAS-Bench-201 without none, 64 CIFAR-10 images; within 0.05 of the published "
        f"correlation: {', '.join(within) or 'none'}.",
        f"Last column: {_DARTS_CELLS} pairs of NAS-Bench-301, our scores against those published for the same cells, "
        "by rank.",
        *(
            f"{name} against the published scores of the same {len(scored)} cells of NAS-Bench-201, by rank: "
            f"{value:.3f} (95 % of resampled sets of cells: {low:.3f} to {high:.3f})."
            for name, (value, low, high) in intervals.items()
        ),
        *(
            f"{name}, {_LABELS} labels, the other {len(scored) - _LABELS} of these cells: {report.spread(values)}."
            for name, values in predictors.items()
        ),
    ]
    values = {
        "nasbench201": correlations,
        "nasbench201_agreement": intervals,
        "nasbench301_agreement": agreement,
        "predictors": predictors,
    }
    values["seed"] = seed
    columns_of_table = ["score", "Spearman here", "published", "difference", "agreement on NAS-Bench-301"]
    title = "Zero-cost proxies"
    return report.Report(title=title, columns=columns_of_table, rows=rows, comparison=comparison, values=values)


def published_agreement(
    scored: CellTable, columns: dict[str, np.ndarray], seed: int
) -> dict[str, tuple[float, float, float]]:
    """Spearman's rank correlation of our scores with the published ones of the same cells, and its 95 % interval.

    Args:
      scored: N cells of NAS-Bench-201.
      columns: scores float64 `[N]` by name.
      seed: seed of the resampled sets of cells.
    """
    table = load_table("nasbench201_proxies")
    rows = table.rows(scored)
    rng = np.random.default_rng([seed, 31])
    draws = rng.integers(0, len(rows), (_RESAMPLES, len(rows)))
    agreement = {}
    for name in PROXIES:
        ours, published = columns[name], table.values(name)[rows]
        resampled = [spearman(ours[draw], published[draw], "omit") for draw in draws]
        low, high = np.quantile(resampled, (0.025, 0.975))
        agreement[name] = (spearman(ours, published, "omit"), float(low), float(high))
    return agreement


def _darts(
    output_dir: pathlib.Path, images: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Published scores and ours of the same pairs of cells."""
    space, table = NASBench301(), load_table("nasbench301")
    rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:_DARTS_CELLS])
    folder = output_dir / "proxies" / "nasbench301"
    if not (folder / "scores.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        score_cells(space, table.cells[rows], scorer(space, images, labels, PROXIES, seed), folder)
    _, ours = read_scores(folder / "scores.npz", space)
    return {name: table.values(f"proxy_{name}")[rows] for name in PROXIES}, ours


def _predictors(
    graphs, columns: dict[str, np.ndarray], accuracy: np.ndarray, runs: int, seed: int
) -> dict[str, list[float]]:
    """Correlations of Gaussian processes with and without proxies as features."""
    features = GraphFeatures(graphs).blocks
    ranks = np.stack([scipy.stats.rankdata(values) for values in columns.values()], axis=1)
    scores = standardised(ranks) / np.sqrt(ranks.shape[1])
    sets = [np.random.default_rng([seed, 30, run]).permutation(len(accuracy))[:_LABELS] for run in range(runs)]
    correlations = {}
    for name, blocks in {
        "GP on graph features": features,
        "GP on proxies": [scores],
        "GP on graph features and proxies": [*features, scores],
    }.items():
        model = AdditiveGP().fit([np.stack([block[s] for s in sets]) for block in blocks], accuracy[np.stack(sets)])
        correlations[name] = []
        for run, labelled in enumerate(sets):
            rest = np.setdiff1d(np.arange(len(accuracy)), labelled)
            predicted = model.predict([block[rest] for block in blocks], run)[0]
            correlations[name].append(spearman(predicted, accuracy[rest], "omit"))
    return correlations
