"""Maps of NAS-Bench-201 by t-SNE: raw projections, an untrained encoder, trained encoders.

References:
  Hesslow and Poli 2021, published code: 1,500 architectures, the first initialisation of each.
"""

import pathlib

import numpy as np
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsRegressor

from reproductions import plots, processes, report
from reproductions.jacobian import data
from reproductions.jacobian.settings import Settings

_SHOWN = 1500
_NEIGHBOURS = 10


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `maps.png`."""
    nasbench201 = data.load(output_dir, settings, "nasbench201")
    corpus, accuracy = nasbench201.corpus, nasbench201.accuracies["CIFAR-10"]
    rows = np.sort(np.random.default_rng([settings.seed, 43]).permutation(len(corpus))[:_SHOWN])
    shown = corpus[rows]
    projections = shown.directions[:, 0].astype(np.float32) * shown.scales[:, 0, None]
    stages = {
        "raw projections": projections.reshape(len(rows), -1),
        "untrained encoder (published)": data.untrained_embeddings(shown, "paper", settings.seed)[:, 0],
        **{
            f"contrastive, {name}": data.trained_embeddings(output_dir, "nasbench201", [corpus], preset, settings.seed)[
                rows, 0
            ]
            for name, preset in (("published", "paper"), ("spectra (tfnas)", "tfnas"))
        },
    }
    maps = dict(zip(stages, processes.run(_map, list(stages.values()), "Maps"), strict=True))
    plots.scattered_maps(maps, 100 * accuracy[rows], output_dir / "maps.png", label="CIFAR-10 test accuracy %")
    values = {name: _smoothness(points, accuracy[rows]) for name, points in stages.items()}
    flat = {name: _smoothness(points, accuracy[rows]) for name, points in maps.items()}
    table = [[name, f"{values[name]:.3f}", f"{flat[name]:.3f}"] for name in stages]
    comparison = [
        f"{len(rows)} cells, first initialisation; share of the variance of accuracies that the mean of a cell's "
        f"{_NEIGHBOURS} nearest neighbours explains, before and after t-SNE (settings of scikit-learn)."
    ]
    return report.Report(
        title="Maps of NAS-Bench-201",
        columns=["stage", "neighbours in the embedding", "neighbours on the map"],
        rows=table,
        comparison=comparison,
        values={"embedding": values, "map": flat},
    )


def _map(points: np.ndarray) -> np.ndarray:
    return TSNE(random_state=0).fit_transform(np.ascontiguousarray(points, np.float32))


def _smoothness(points: np.ndarray, accuracy: np.ndarray) -> float:
    """R² of a cell's accuracy predicted by its neighbours, itself left out."""
    model = KNeighborsRegressor(_NEIGHBOURS).fit(points, accuracy)
    predicted = accuracy[model.kneighbors(return_distance=False)].mean(axis=1)
    return float(1 - np.sum((accuracy - predicted) ** 2) / np.sum((accuracy - accuracy.mean()) ** 2))
