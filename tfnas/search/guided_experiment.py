"""Guided evolution by name, for `trainers.search`: which guide, over which candidates."""

from collections.abc import Callable, Sequence

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.networks import symbolic
from tfnas.search import get_strategy
from tfnas.search.base import Candidates, Strategy
from tfnas.search.guided import CHILDREN, STRANGERS, GuidedEvolution
from tfnas.search.guides import Guide, PredictorGuide, ScoreGuide, graph_featurizer
from tfnas.search.open_candidates import OpenCandidates

GUIDES = ("none", "predictor", "proxy")
SIZES = ("parameters", "multiply_adds")
"""Proxies that need no network, only its graph."""

MakeStrategy = Callable[[str, Candidates, Sequence[int]], Strategy]


def strategy_maker(
    guide: str,
    *,
    proxy: str | None = None,
    scores: artefacts.PathLike | None = None,
    labels: int = 50,
    layout: str = symbolic.BENCHMARK,
) -> MakeStrategy:
    """A function that makes strategies, of which `evolution` is guided.

    Args:
      guide: one of `GUIDES`; with `none`, evolution is the regularised one.
      proxy: for `proxy`: one of `SIZES`, or a score in the file.
      scores: file that `trainers.score_proxies` wrote.
      labels: for `predictor`: random queries before its first fit.
      layout: of the graphs, see `networks.symbolic.build`.

    Raises:
      ConfigurationError: an unknown guide, a proxy without the guide, or the other way round.
    """
    if guide not in GUIDES:
        raise ConfigurationError(f"--guide={guide}, expected one of {', '.join(GUIDES)}")
    if (guide == "proxy") != (proxy is not None) or (scores is not None and proxy is None):
        raise ConfigurationError("--guide=proxy goes with --proxy, and --proxy_scores with both")

    def make(name: str, candidates: Candidates, seeds: Sequence[int]) -> Strategy:
        if isinstance(candidates, OpenCandidates) and (guide, name) != ("predictor", "evolution"):
            raise ConfigurationError(
                f"{candidates.space.name} can't be listed; use --strategy=evolution --guide=predictor"
            )
        if guide == "none" or name != "evolution":
            return get_strategy(name, candidates, seeds)
        if guide == "predictor":
            return GuidedEvolution(candidates, seeds, predictor_guide(candidates, labels, layout))
        return GuidedEvolution(candidates, seeds, proxy_guide(candidates, proxy, scores, layout))

    return make


def check_guide(guide: str, strategies: Sequence[str], queries: int, labels: int) -> None:
    """Raises ConfigurationError if a guide would never be asked: no evolution, or all queries are first labels."""
    if guide != "none" and "evolution" not in strategies:
        raise ConfigurationError(f"--guide={guide} guides --strategy=evolution, not {', '.join(strategies)}")
    if guide == "predictor" and queries <= labels:
        raise ConfigurationError(f"--queries={queries} with --labels={labels}: no query is left for the predictor")


def guided_capacity(queries: int, runs: int) -> int:
    """Room for all architectures that guided evolution can meet if every query is a generation of its own."""
    return (queries + 3) * runs * (CHILDREN + STRANGERS) + queries * runs


def predictor_guide(candidates: Candidates | OpenCandidates, labels: int, layout: str) -> Guide:
    """A `PredictorGuide` whose features are scaled by a sample of the candidates.

    Raises:
      ConfigurationError: there are no computation graphs of the candidates' space.
    """
    space = candidates.space
    rng = np.random.default_rng(0)
    if isinstance(candidates, OpenCandidates):
        sample = space.sample(1000, rng)
    else:
        sample = candidates.cells[rng.permutation(len(candidates))[:1000]]
    return PredictorGuide(candidates, graph_featurizer(space, sample, layout=layout), labels)


def proxy_guide(candidates: Candidates, proxy: str, scores: artefacts.PathLike | None, layout: str) -> Guide:
    """A `ScoreGuide` of sizes computed here, or of scores in a file.

    Raises:
      ConfigurationError: candidates that can't be listed, no such score, or scores of another space.
    """
    if isinstance(candidates, OpenCandidates):
        raise ConfigurationError(f"{candidates.space.name} can't be listed, so its proxies can't be known in advance")
    if scores is None:
        if proxy not in SIZES:
            raise ConfigurationError(f"--proxy={proxy}: pass --proxy_scores, or use one of {', '.join(SIZES)}")
        from tfnas.networks.symbolic.packing import pack_cells

        graphs = pack_cells(candidates.space, candidates.cells, layout=layout, progress=True)
        return ScoreGuide(graphs.structure[:, SIZES.index(proxy)])
    from tfnas.proxies.tables import read_scores

    cells, columns = read_scores(scores, candidates.space)
    if proxy not in columns:
        raise ConfigurationError(f"{scores}: no scores {proxy!r}, expected one of {', '.join(sorted(columns))}")
    values = np.full(len(candidates), np.nan)
    rows = candidates.rows_of_cells(cells)
    values[rows[rows >= 0]] = columns[proxy][rows >= 0]
    return ScoreGuide(values)
