"""Whether the learned part of an encoder of colours helps, on architectures and families that it does not know."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import label_ranking_average_precision_score

from tfnas.encoders.colour.config import ColourEncoderConfig
from tfnas.encoders.colour.fitting import Occurrences, fit
from tfnas.encoders.splits import Split, random_split
from tfnas.graphs.packed import PackedGraphs


@dataclasses.dataclass(frozen=True)
class Precision:
    """Mean average precision over splits of retrieval with and without the learned part.

    Attributes:
      architectures: precision with the learned part for held-out architectures of known families.
      families: precision with the learned part for architectures of families that nothing was computed from.
      architectures_of_colours: precision without the learned part for the architectures of `architectures`.
      families_of_colours: precision without the learned part for the architectures of `families`.
    """

    architectures: float
    families: float
    architectures_of_colours: float
    families_of_colours: float

    @property
    def helps(self) -> bool:
        """Whether the learned part finds known families better, and unseen families no worse."""
        return self.architectures > self.architectures_of_colours and self.families >= self.families_of_colours


def precision(
    config: ColourEncoderConfig, graphs: PackedGraphs, occurring: Occurrences, family: np.ndarray, seeds: Sequence[int]
) -> Precision | None:
    """Measures both encoders on random splits.

    Args:
      config: settings with a learned part.
      graphs: N graphs.
      occurring: colours of the graphs.
      family: int `[N]`, families of the graphs, -1 where a family is not known; such graphs are in the database alone.
      seeds: seeds of the splits.

    Returns:
      The precision; None if no split has both queries and unseen families.
    """
    results = []
    for seed in seeds:
        # An architecture without a known family is a family of its own, which is neither held out nor asked for.
        split = random_split(np.where(family >= 0, family, -1 - np.arange(len(family))), seed)
        if not (split.queries.any() and split.unseen.any() and split.train.any()):
            continue
        database = ~split.queries
        known = np.where(split.train, family, -1)[database]
        pair = []
        for share in (config.learned_share, 0.0):
            model = fit(dataclasses.replace(config, learned_share=share), occurring[database], known, seed)
            embeddings = model.embed(graphs)
            pair += [_average_precision(embeddings, family, asking, database) for asking in _asking(split)]
        results.append(pair)
    return Precision(*np.mean(results, axis=0).tolist()) if results else None


def _asking(split: Split) -> tuple[np.ndarray, np.ndarray]:
    return split.queries, split.unseen


def _average_precision(embeddings: np.ndarray, family: np.ndarray, asking: np.ndarray, database: np.ndarray) -> float:
    """Mean average precision of the relatives of some architectures in the database, which never find themselves."""
    rows, columns = np.flatnonzero(asking), np.flatnonzero(database)
    other = rows[:, None] != columns
    relevant = (family[rows][:, None] == family[columns]) & other
    scores = np.where(other, embeddings[rows] @ embeddings[columns].T, -2.0)
    asked = relevant.any(axis=1)
    return float(label_ranking_average_precision_score(relevant[asked], scores[asked])) if asked.any() else 0.0
