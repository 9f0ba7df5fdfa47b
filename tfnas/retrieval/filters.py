"""Which architectures of a collection a query allows, by their sizes and operators."""

from collections.abc import Sequence

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.graphs.operators import CODES
from tfnas.graphs.packed import PackedGraphs
from tfnas.retrieval.collection import Collection

ATTENTION = "attention"
"""A matrix product that reads a softmax; not an operator of its own."""


def allowed(
    collection: Collection, max_parameters: int | None, max_multiply_adds: int | None, has: Sequence[str]
) -> np.ndarray:
    """Architectures that pass all filters.

    Args:
      collection: N architectures.
      max_parameters: largest number of parameters, which must be known; None for any number.
      max_multiply_adds: largest number of multiply-adds for one input; None for any number.
      has: names in `operators.OPERATORS`, or `attention` for a matrix product that reads a softmax.

    Returns:
      bool `[N]`.

    Raises:
      ConfigurationError: an unknown operator.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> allowed(Collection.from_graphs([smallest_graph().replace(name="a")]), None, None, ["conv"]).tolist()
      [False]
    """
    passed = np.ones(len(collection), bool)
    if max_parameters is not None:
        passed &= (collection.parameters > 0) & (collection.parameters <= max_parameters)
    if max_multiply_adds is not None:
        passed &= collection.multiply_adds <= max_multiply_adds
    for name in has:
        passed &= _attentive(collection.graphs) if name == ATTENTION else _holding(collection.graphs, name)
    return passed


def _holding(graphs: PackedGraphs, name: str) -> np.ndarray:
    if name not in CODES:
        raise ConfigurationError(f"has={name!r}, expected {ATTENTION!r} or one of {', '.join(CODES)}")
    equal = graphs.features[graphs.codes, 0] == CODES[name]
    return np.logical_or.reduceat(equal, graphs.node_offsets[:-1])


def _attentive(graphs: PackedGraphs) -> np.ndarray:
    starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
    operators = graphs.features[graphs.codes, 0]
    sources, targets = operators[graphs.edges[:, 0] + starts], operators[graphs.edges[:, 1] + starts]
    owner = np.repeat(np.arange(len(graphs)), graphs.num_edges)
    attentive = np.zeros(len(graphs), bool)
    attentive[owner[(sources == CODES["softmax"]) & (targets == CODES["matmul"])]] = True
    return attentive
