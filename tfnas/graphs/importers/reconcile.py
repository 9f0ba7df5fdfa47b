"""A check of an import: the numbers that a model holds against the parameters that its graph counts."""

from collections.abc import Collection

from tfnas.graphs.importers.raw import RawGraph

TOLERANCE, FEW = 0.001, 16
"""Share of a model's numbers, and a count such as that of an image's mean colours, that a graph may miss or exceed
without a note."""


def reconciliation(raw: RawGraph, claimed: Collection[int], counted: int, repeated: int = 0) -> tuple[str, ...]:
    """One line where a graph counts fewer or more parameters than its source holds, nothing otherwise.

    Args:
      raw: graph of the source, the nodes that its outputs need; `held` goes before the sum of their weights.
      claimed: numbers of the nodes whose weights an operator counts.
      counted: parameters of the computation graph.
      repeated: numbers of uniform constants among the counted numbers, once per operand.
    """
    weights = {number: node.weights for number, node in enumerate(raw.nodes) if node.weights and not node.uniform}
    held = sum(weights.values()) + repeated if raw.held is None else raw.held
    if abs(held - counted) <= max(TOLERANCE * held, FEW):
        return ()
    line = f"the model holds {held:,} numbers, the graph counts {counted:,}"
    if counted > held:
        return (f"{line}: {counted - held:,} count twice or are no weights",)
    lost = [
        node for number, node in enumerate(raw.nodes) if node.weights and not node.uniform and number not in claimed
    ]
    largest = max(lost, key=lambda node: node.weights, default=None)
    named = f", {largest.weights:,} of them those of {largest.name!r}" if largest else ""
    return (f"{line}: {held - counted:,} are in no operator{named}",)
