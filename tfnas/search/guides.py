"""Guides of evolution: a predictor that learns from the run's own queries, or proxies that are known in advance."""

import functools
from collections.abc import Mapping

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.graphs.packed import PackedGraphs
from tfnas.networks import symbolic
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.predictors.cell_features import GRAPH_BLOCKS, CellFeatures
from tfnas.predictors.features import GraphFeatures
from tfnas.proxies.tables import read_scores
from tfnas.search import MakeStrategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.settings import NO_GUIDE, GuideSettings
from tfnas.search.surrogates import Featurizer, FixedScores, NetworkProcess
from tfnas.spaces import CellTable, Space

SIZES = ("parameters", "multiply_adds")
"""Proxies that need no network, only its graph."""

_REFERENCE = 1000  # random architectures that decide the scale of features


def guided(strategies: Mapping[str, MakeStrategy], settings: GuideSettings, queries: int) -> dict[str, MakeStrategy]:
    """Makers of strategies by name, of which `evolution` has the guide of the settings.

    Args:
      strategies: makers of strategies by name, see `search.sized`.
      settings: the guide.
      queries: budget of every run.

    Raises:
      ConfigurationError: the guide would never be asked: there is no evolution, or all queries are first labels.
    """
    if settings.guide == NO_GUIDE:
        return dict(strategies)
    if "evolution" not in strategies:
        raise ConfigurationError(f"--guide={settings.guide} guides --strategy=evolution, not {', '.join(strategies)}")
    if settings.guide == "predictor":
        if queries <= settings.labels:
            raise ConfigurationError(
                f"--queries={queries} with --labels={settings.labels}: no query is left for the predictor"
            )
        make = functools.partial(strategies["evolution"], guide=predictor_guide, labels=settings.labels)
    else:
        guide = functools.partial(proxy_guide, proxy=settings.proxy, scores=settings.proxy_scores)
        make = functools.partial(strategies["evolution"], guide=guide)
    return {**strategies, "evolution": make}


def predictor_guide(candidates: CandidateSet, layout: str = symbolic.BENCHMARK) -> NetworkProcess:
    """A predictor whose features are scaled by a sample of the candidates.

    Args:
      candidates: architectures that are judged.
      layout: layout of the graphs, see `networks.symbolic.build`.

    Raises:
      ConfigurationError: there are no computation graphs of the candidates' space.
    """
    sample = candidates.sample(_REFERENCE, np.random.default_rng(0))
    return NetworkProcess(candidates, network_featurizer(candidates.space, sample, layout))


def proxy_guide(
    candidates: CandidateSet,
    proxy: str,
    scores: artefacts.PathLike | None = None,
    layout: str = symbolic.BENCHMARK,
) -> FixedScores:
    """Sizes of the candidates' networks, or scores in a file.

    Args:
      candidates: architectures that are judged.
      proxy: name of a size (one of `SIZES`), or of a score in the file.
      scores: file that `trainers.score_proxies` wrote; None for sizes.
      layout: layout of the graphs that have the sizes, see `networks.symbolic.build`.

    Raises:
      ConfigurationError: the candidates can't be listed, there is no such score, or the scores are of another space.
    """
    candidates.require_list("a search by proxies")
    if scores is None:
        if proxy not in SIZES:
            raise ConfigurationError(f"--proxy={proxy}: pass --proxy_scores, or use one of {', '.join(SIZES)}")
        graphs = pack_cells(candidates.space, candidates.cells, layout=layout, progress=True)
        return FixedScores(graphs.structure[:, SIZES.index(proxy)])
    cells, columns = read_scores(scores, candidates.space)
    if proxy not in columns:
        raise ConfigurationError(f"{scores}: no scores {proxy!r}, expected one of {', '.join(sorted(columns))}")
    values = np.full(len(candidates), np.nan)
    rows = candidates.rows_of_cells(cells)
    values[rows[rows >= 0]] = columns[proxy][rows >= 0]
    return FixedScores(values)


def network_featurizer(space: Space, sample: CellTable, layout: str) -> Featurizer:
    """Function from cells to features of the cells and of their computation graphs, scaled by a sample of the space.

    Args:
      space: space with computation graphs.
      sample: random architectures.
      layout: layout of the graphs, see `networks.symbolic.build`.
    """

    def pack(cells: CellTable) -> PackedGraphs:
        return pack_cells(space, cells, layout=layout, num_workers=1)

    of_graphs = GraphFeatures(pack(sample), ("structure", "operators", "neighbourhoods", "paths"))
    of_cells = CellFeatures(space, sample, (*GRAPH_BLOCKS, "paths"), by_component=True)

    def featurize(cells: CellTable) -> list[np.ndarray]:
        return [*of_graphs.transform(pack(cells)), *of_cells.transform(cells)]

    return featurize
