"""Synthetic networks of five search spaces with classes that are hard: descendants of one ancestor."""

import joblib
import numpy as np
from tqdm import tqdm

from tfnas.graphs import symbolic
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.graphs.symbolic import enas
from tfnas.networks.darts import DartsSkeleton
from tfnas.networks.nasbench101 import NASBench101Skeleton
from tfnas.networks.nasbench201 import Skeleton
from tfnas.retrieval.collection import Collection
from tfnas.spaces import get_space

SPACES = ("nasbench101", "nasbench201", "nasbench301", "enas", "mobilenetv3")
_CHUNK = 50


def lineages(per_space: int, descendants: int, seed: int) -> Collection:
    """Networks of many lineages; the family of each is its lineage.

    An ancestor is a random architecture; a descendant differs from it by one or two mutations and lives in a network of
    random depth (in MobileNetV3, whose depth is part of the architecture, by mutations alone). So neither the space,
    nor the number of operators, nor the exact cell tells a lineage.

    Args:
      per_space: ancestors in each of `SPACES`.
      descendants: networks of each.
      seed: of everything random.
    """
    jobs = [(space, start, descendants, seed) for space in SPACES for start in range(0, per_space, _CHUNK)]
    jobs = [(*job, min(_CHUNK, per_space - job[1])) for job in jobs]
    built = joblib.Parallel(n_jobs=-1, return_as="generator")(joblib.delayed(_lineages)(*job) for job in jobs)
    bar = tqdm(built, desc="Lineages", total=len(jobs), unit="chunk", leave=False)
    graphs = PackedGraphs.concatenate(list(bar))
    families = np.array(graphs.families, str)[graphs.family]
    names = np.array([f"{family}/{row % descendants}" for row, family in enumerate(families)], str)
    sources = np.char.partition(families, "-")[:, 0]
    return Collection(graphs, names, sources, np.zeros(len(names), np.int64))


def _lineages(space: str, start: int, descendants: int, seed: int, count: int) -> PackedGraphs:
    return pack(
        _descendant(space, number, seed, np.random.default_rng([seed, SPACES.index(space), number, child]))
        for number in range(start, start + count)
        for child in range(descendants)
    )


def _descendant(space: str, number: int, seed: int, rng: np.random.Generator) -> ComputationGraph:
    lineage = f"{space}-{number}"
    first = np.random.default_rng([seed, SPACES.index(space), number])  # the same for all descendants
    mutations = int(rng.integers(1, 3))
    if space == "enas":
        cells = enas.sample(first)
        for _ in range(mutations):
            cells = enas.mutate(cells, rng)
        return enas.enas(cells, repeats=int(rng.integers(1, 3)), channels=16).replace(family=lineage)
    known = get_space(space)
    architecture = known.architecture(known.sample(1, first), 0)
    for _ in range(mutations):
        architecture = known.mutate(architecture, rng)
    skeletons = {
        "nasbench101": lambda: NASBench101Skeleton(modules_per_stack=int(rng.integers(1, 4))),
        "nasbench201": lambda: Skeleton(cells_per_stage=int(rng.integers(1, 6))),
        "nasbench301": lambda: DartsSkeleton(channels=16, layers=int(rng.integers(3, 9)), auxiliary=False),
        "mobilenetv3": lambda: None,
    }
    return symbolic.build(space, architecture, skeleton=skeletons[space](), family=lineage)
