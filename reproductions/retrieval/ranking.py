"""Whether the ranking of answers, by embeddings and shared operators, agrees with families, and what similarity means.

Frequencies of colours, principal directions and scales come from the database alone, and so does the calibration.
"""

import itertools
import pathlib
from typing import Any

import numpy as np

from reproductions import report
from reproductions.retrieval import data
from reproductions.retrieval.settings import Settings
from reproductions.retrieval.table1 import KINDS, METRICS, column_titles
from tfnas.encoders.colour.config import preset
from tfnas.encoders.colour.fitting import fit, occurrences
from tfnas.encoders.colour.task import ColourFitting
from tfnas.encoders.splits import Split, random_split
from tfnas.retrieval import metrics
from tfnas.retrieval.calibration import CANDIDATES, cross_calibrated
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.evidence import LEAST_SHARED, Surroundings, order, score

SETS = ("realworld", "corpus")
DEVELOPMENT = (11, 12, 13, 14)
"""Seeds of random splits of the training rows, on which the weights of `evidence.score` were chosen."""
_COUNT = 20
_EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment."""
    rows: list[list[str]] = []
    values: dict[str, Any] = {}
    comparison = []
    for name in SETS:
        collection = data.load(output_dir, settings, name)
        split = data.split_of(name, collection, settings)
        training = collection[split.train]
        development = [(training, random_split(training.families, seed)) for seed in DEVELOPMENT]
        for label, trials in (("development", development), ("held out", [(collection, split)])):
            measured = [_measure(*trial, settings, calibrating=label != "development") for trial in trials]
            for method in ("embeddings", "ranking"):
                cells = [
                    f"{np.mean([trial[kind][method][metric] for trial in measured]):.3f}"
                    for kind in KINDS
                    for metric in METRICS
                ]
                low = np.mean([trial[kind][method]["low"] for trial in measured for kind in KINDS])
                rows.append([f"{name}, {label}: {method}", *cells, f"{100 * low:.1f} %"])
            if label != "development":
                pairs = np.concatenate([trial[kind]["pairs"] for trial in measured for kind in KINDS])
                comparison.append(f"{name}: {_reliability(pairs)}.")
            values[f"{name}, {label}"] = [
                {kind: {method: trial[kind][method] for method in ("embeddings", "ranking")} for kind in KINDS}
                for trial in measured
            ]
    return report.Report(
        title="Ranking by embeddings and by shared operators",
        columns=["collection, splits: order of answers", *column_titles(), "first answers that share under 20 %"],
        rows=rows,
        comparison=[
            f"Development: mean over {len(DEVELOPMENT)} random splits of the training rows.",
            *comparison,
        ],
        values={"measurements": values, "seed": settings.seed},
    )


def _measure(
    collection: Collection, split: Split, settings: Settings, *, calibrating: bool
) -> dict[str, dict[str, Any]]:
    """Metrics of both orders for both kinds of queries, and similarities with whether pairs are of one family.

    Args:
      collection: N architectures.
      split: roles of the architectures.
      settings: seed of the encoder.
      calibrating: True to compute similarities, False to leave them out.
    """
    config, database, families = preset("tfnas"), np.flatnonzero(~split.queries), collection.families
    family = np.where(split.train, collection.graphs.family, -1)[database]
    model = fit(config, occurrences(collection.graphs, config.rounds)[database], family, settings.seed)
    embeddings = model.embed(collection.graphs)
    surroundings = Surroundings(collection.graphs)
    calibration = None
    if calibrating:
        trained = collection[split.train]
        embedders = ColourFitting(config, trained.graphs).embedders(True, settings.seed)
        calibration = cross_calibrated(trained.graphs, trained.families, embedders)
    outcome = {}
    for kind, asking in zip(KINDS, (split.queries, split.unseen), strict=True):
        relevant: dict[str, list[np.ndarray]] = {"embeddings": [], "ranking": []}
        low: dict[str, list[bool]] = {"embeddings": [], "ranking": []}
        totals, pairs = [], []
        for row in np.flatnonzero(asking).tolist():
            compared = database[database != row]
            total = int((families[compared] == families[row]).sum())
            if not total:
                continue
            totals.append(total)
            similarities = embeddings[compared] @ embeddings[row]
            best = np.argsort(-similarities, kind="stable")[:CANDIDATES]
            shared = surroundings.shared(row, compared[best])
            scores = score(similarities[best], shared)
            same = families[compared[best]] == families[row]
            if calibration is not None:
                pairs.append(np.stack([calibration(scores), same], axis=1))
            for method, ranks in (("embeddings", np.arange(len(best))), ("ranking", order(scores, shared))):
                relevant[method].append(same[ranks])
                low[method].append(bool(shared[ranks[0]] < LEAST_SHARED))
        outcome[kind] = {"pairs": np.concatenate(pairs or [np.zeros((0, 2))])} | {
            method: {
                **{
                    metric: float(values.mean())
                    for metric, values in metrics.scores(np.stack(relevant[method]), np.array(totals), _COUNT).items()
                },
                "low": float(np.mean(low[method])),
            }
            for method in relevant
        }
    return outcome


def _reliability(pairs: np.ndarray) -> str:
    """Of pairs with a similarity in some range, how many are of one family."""
    group = np.searchsorted(_EDGES[1:-1], pairs[:, 0], side="right")
    words = [
        f"{100 * pairs[group == number, 1].mean():.0f} % between {100 * low:.0f} and {100 * high:.0f} %"
        for number, (low, high) in enumerate(itertools.pairwise(_EDGES))
        if (group == number).any()
    ]
    return f"of the pairs by similarity {', '.join(words)} are of one family"
