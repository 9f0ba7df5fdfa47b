"""The collections that retrieval is measured on, and one measurement of one method."""

import pathlib
from typing import Any

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity

from reproductions import processes
from reproductions.retrieval import splits
from reproductions.retrieval.nas import lineages
from reproductions.retrieval.realworld import read_realworld
from reproductions.retrieval.settings import Settings
from tfnas import artefacts
from tfnas.benchmarks.registry import find_table
from tfnas.encoders.splits import random_split
from tfnas.retrieval import metrics
from tfnas.retrieval.collection import Collection, read_collection
from tfnas.saved_models import SHIPPED

COUNTS = (20, 50, 100)
_ASKED = 1000  # queries of each kind


def load(output_dir: pathlib.Path, settings: Settings, name: str) -> Collection:
    """A set: `realworld` (from the data folder), `corpus` (of the shipped index) or `nas` (made once, then read).

    Architectures of the same structure occur once in the first two. `corpus` has the architectures of the fixed split,
    whatever the index has beyond these.

    Raises:
      ConfigurationError: the data folder does not hold the real-world graphs.
    """
    if name == "corpus":
        collection = read_collection(SHIPPED / "architecture_index" / "graphs.npz").distinct()
        return collection[splits.listed(name, collection.names)]
    path = output_dir / "sets" / f"{name}.npz"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        if name == "realworld":
            collection = Collection.from_graphs(read_realworld(find_table("realworld_graphs"))).distinct()
        else:
            collection = lineages(settings.lineages, settings.descendants, settings.seed)
        artefacts.write_npz(path, **collection.arrays())
    return read_collection(path)


def split_of(name: str, collection: Collection, settings: Settings) -> splits.Split:
    """The fixed split of a set; of the synthetic one, which has any size, the split that its seed decides."""
    if name == "nas":
        return random_split(collection.families, settings.seed)
    return splits.read_split(name, collection.names)


def measure(features: Any, collection: Collection, split: splits.Split, settings: Settings) -> dict[str, Any]:
    """How well vectors find relatives, of architectures and of families that were held out.

    Args:
      features: float `[N, D]`, dense or sparse, compared by cosines.
      collection: N architectures.
      split: roles of the architectures.
      settings: seed of the queries.

    Returns:
      Metrics of `metrics.evaluate` under `architectures` and `families`.
    """
    database = np.flatnonzero(~split.queries)
    positions = np.full(len(collection), -1)
    positions[database] = np.arange(len(database))
    measurement = {}
    for kind, asking in (("architectures", split.queries), ("families", split.unseen)):
        rows = np.random.default_rng(settings.seed).permutation(np.flatnonzero(asking))[:_ASKED]
        similarities = cosines(features[rows], features[database])
        labels = collection.families
        measurement[kind] = metrics.evaluate(similarities, labels[rows], labels[database], COUNTS, positions[rows])
    return measurement


def cosines(first: Any, second: Any) -> np.ndarray:
    """Cosines float64 `[n, m]` of the rows of two matrices, dense or sparse."""
    return cosine_similarity(first.astype(np.float64), second.astype(np.float64), dense_output=True)


def name_of(label: str, seed: int) -> str:
    """Name of the file that keeps a measurement."""
    return f"{processes.folder_name(label)}_{seed}".replace("/", "-")
