"""Synthetic networks of five search spaces with classes that are hard: descendants of one ancestor."""

import joblib
import numpy as np
from tqdm import tqdm

from reproductions.retrieval import enas
from tfnas import processes
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.networks import symbolic
from tfnas.networks.darts import DartsSkeleton
from tfnas.networks.nasbench101 import NASBench101Skeleton
from tfnas.networks.nasbench201 import Skeleton
from tfnas.retrieval.collection import Collection
from tfnas.spaces import Architecture, get_space

SPACES = ("nasbench101", "nasbench201", "nasbench301", "enas", "mobilenetv3")
_CHUNK = 100


def lineages(per_space: int, descendants: int, seed: int) -> Collection:
    """Networks of many lineages; the family of each is its lineage.

    An ancestor is a random architecture; a descendant differs from it by one or two mutations and lives in a network of
    random depth (in MobileNetV3, whose depth is part of the architecture, by mutations alone). So neither the space,
    nor the number of operators, nor the exact cell tells a lineage.

    Args:
      per_space: ancestors in each of `SPACES`.
      descendants: networks per ancestor.
      seed: seed of everything random.
    """
    jobs = [(space, start, descendants, seed) for space in SPACES for start in range(0, per_space, _CHUNK)]
    jobs = [(*job, min(_CHUNK, per_space - job[1])) for job in jobs]
    workers = -1 if per_space > _CHUNK else 1  # starting processes takes longer than a chunk of every space
    built = processes.results((joblib.delayed(_lineages)(*job) for job in jobs), workers)
    bar = tqdm(built, desc="Lineages", total=len(jobs), unit="chunk", leave=False)
    graphs = PackedGraphs.concatenate(list(bar))
    families = np.array(graphs.families, str)[graphs.family]
    names = np.array([f"{family}/{row % descendants}" for row, family in enumerate(families)], str)
    sources = np.char.partition(families, "-")[:, 0]
    return Collection(graphs, names, sources, np.zeros(len(names), np.int64))


def _lineages(space: str, start: int, descendants: int, seed: int, count: int) -> PackedGraphs:
    number = SPACES.index(space)
    first = np.random.default_rng([seed, number, start, descendants])
    if space == "enas":
        ancestors = [enas.sample(first) for _ in range(count)]
    else:
        known = get_space(space)
        cells = known.sample(count, first)
        ancestors = [known.architecture(cells, row) for row in range(count)]
    return pack(
        _descendant(space, ancestor, np.random.default_rng([seed, number, start + row, child, 1])).replace(
            family=f"{space}-{start + row}"
        )
        for row, ancestor in enumerate(ancestors)
        for child in range(descendants)
    )


def _descendant(space: str, ancestor: Architecture | enas.EnasCells, rng: np.random.Generator) -> ComputationGraph:
    for _ in range(int(rng.integers(1, 3))):
        ancestor = enas.mutate(ancestor, rng) if space == "enas" else get_space(space).mutate(ancestor, rng)
    if space == "enas":
        return enas.enas(ancestor, repeats=int(rng.integers(1, 3)), channels=16)
    skeletons = {
        "nasbench101": lambda: NASBench101Skeleton(modules_per_stack=int(rng.integers(1, 4))),
        "nasbench201": lambda: Skeleton(cells_per_stage=int(rng.integers(1, 6))),
        "nasbench301": lambda: DartsSkeleton(channels=16, layers=int(rng.integers(3, 9)), auxiliary=False),
        "mobilenetv3": lambda: None,
    }
    return symbolic.build(get_space(space), ancestor, skeleton=skeletons[space]())
