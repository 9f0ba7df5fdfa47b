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
from tfnas.errors import ConfigurationError
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.features import GraphFeatures, standardised
from tfnas.proxies import PROXIES
from tfnas.proxies.spaces import scorer
from tfnas.proxies.tables import TABLE_NAME, read_scores, score_cells
from tfnas.spaces import NONE, CellTable, NASBench201, NASBench301, Space

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
    space = NASBench201()
    cells = drawn_cells(space, settings.proxy_cells, seed)
    every, all_columns = _scored(space, cells, output_dir / "proxies" / "nasbench201", images, labels, seed)
    # The published correlations are those of cells without `none`.
    usable = np.flatnonzero(space.lacks(every, NONE))
    scored, columns = every[usable], {name: values[usable] for name, values in all_columns.items()}
    table = load_table("nasbench201")
    accuracy = table.values("cifar10_test_accuracy_200")[table.rows(scored)]
    graphs = pack_cells(space, scored)
    sizes = {"parameters": graphs.structure[:, 0], "multiply-adds": graphs.structure[:, 1]}
    correlations = {name: spearman(values, accuracy, "omit") for name, values in {**columns, **sizes}.items()}
    published, ours = _darts(output_dir, images, labels, seed)
    agreement = {name: spearman(ours[name], published[name], "omit") for name in PROXIES}
    intervals = published_agreement(every, all_columns, seed)
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
            f"{name} against the published scores of {len(every)} cells of NAS-Bench-201, by rank: "
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


def drawn_cells(space: NASBench201, count: int, seed: int) -> CellTable:
    """Random cells of which scores are published: first those without `none`, then others.

    More cells begin with the same cells, so that a run can be extended.

    Raises:
      ConfigurationError: fewer cells have published scores.
    """
    rng = np.random.default_rng(seed)
    bare = int(space.lacks(space.enumerate(), NONE).sum())
    first = space.sample_without(NONE, bare, rng)
    if count <= bare:
        return first[:count]
    table = load_table("nasbench201_proxies")
    rest = np.flatnonzero(~space.lacks(table.cells, NONE) & np.isfinite(table.values("synflow")))
    if count > bare + len(rest):
        raise ConfigurationError(
            f"proxy_cells={count}, expected at most {bare + len(rest)}, whose scores are published"
        )
    return CellTable.concatenate([first, table.cells[rng.permutation(rest)[: count - bare]]])


def _scored(
    space: Space, cells: CellTable, folder: pathlib.Path, images: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[CellTable, dict[str, np.ndarray]]:
    """N cells and their scores float64 `[N]`; scores that the folder holds are not computed again."""
    path = folder / TABLE_NAME
    if not path.exists() or len(read_scores(path, space)[0]) < len(cells):
        folder.mkdir(parents=True, exist_ok=True)
        score_cells(space, cells, scorer(space, images, labels, PROXIES, seed), folder)
    scored, columns = read_scores(path, space)
    return scored[: len(cells)], {name: values[: len(cells)] for name, values in columns.items()}


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
    _, ours = _scored(space, table.cells[rows], output_dir / "proxies" / "nasbench301", images, labels, seed)
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
