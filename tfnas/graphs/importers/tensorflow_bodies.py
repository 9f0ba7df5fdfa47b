"""What the body of a loop of TensorFlow computes: the items that it reads, its states, and its recurrent operator."""

from collections.abc import Iterable, Sequence

from tfnas.graphs.importers.raw import RawNode, Reference, Shape
from tfnas.graphs.operators import WEIGHTED

_GATED_PRODUCTS = 3
"""Elementwise products in the cell of an LSTM, and in that of a GRU."""


class Body:
    """The body of a loop.

    Args:
      nodes: nodes of the graph.
      readers: nodes that read each node.
      data: True for every node that an input of the network reaches.
      members: nodes of the body.
      variables: nodes that stand for what the loop changes.
      results: tensors that the loop gives.
    """

    def __init__(
        self,
        nodes: Sequence[RawNode],
        readers: Sequence[Sequence[int]],
        data: Sequence[bool],
        members: set[int],
        variables: Sequence[int],
        results: Sequence[Reference],
    ):
        self._nodes, self._readers, self._data = nodes, readers, data
        self._members, self._results = members, results
        self._states = [variable for variable in variables if nodes[variable].floating[0]]
        self._varying = self._reached(self._states)

    def sequence(self) -> Reference | None:
        """The tensor, with time as its first axis, whose items the body reads one by one; None for none."""
        for member in sorted(self._members):
            node = self._nodes[member]
            if node.kind == "GatherV2" and node.floating[0]:
                source, output = node.inputs[0]
                if self._data[source] and source not in self._members:
                    return source, output
        return None

    def summary(self, steps: int | None) -> tuple[Shape | None, bool]:
        """The shape of all that the loop gives, with the batch first, and whether the loop gives floats.

        Args:
          steps: steps of the loop, None if unknown.
        """
        states: list[Shape | None] = []
        for source, output in self._results:
            while self._nodes[source].kind == "Identity":
                source, output = self._nodes[source].inputs[0]
            node = self._nodes[source]
            if node.kind == "TensorListSetItem":
                item, index = node.inputs[2]
                shape = self._nodes[item].shapes[index]
                if self._nodes[item].floating[index] and shape:
                    return (shape[0], 1 if steps is None else steps, *shape[1:]), True
            elif node.floating[output]:
                states.append(node.shapes[output])
        return (states[0], True) if states else ((), False)

    def operator(self) -> str | None:
        """The recurrent operator of the body, None for a body without a product of weights and a state.

        Each gate multiplies the items and the state of a cell by matrices of the state's width: the products are twice
        as wide as the states of a plain cell, six times for a GRU, four times for an LSTM, which has two states.
        """
        weighted = [member for member in sorted(self._members) if self._is_weighted(member)]
        if not self._varying.intersection(weighted):
            return None
        width = sum(self._width(member) for member in weighted)
        if self._varying.issuperset(weighted):  # the products with the items stand before the loop
            width *= 2
        states = sum(self._width(state) for state in self._states if self._takes_part(state))
        gates = [member for member in self._members if self._nodes[member].operator == "mul"]
        gated = sum(self._num_computed(member) > 1 for member in gates) >= _GATED_PRODUCTS
        return {4 * states: "lstm", 6 * states: "gru"}.get(width, "rnn") if gated else "rnn"

    def _takes_part(self, state: int) -> bool:
        """Whether products read a state; a body with a mask only hands the last output on."""
        reached = self._reached([state])
        return any(self._is_weighted(member) or self._nodes[member].operator == "mul" for member in reached)

    def _is_weighted(self, member: int) -> bool:
        return self._nodes[member].operator in WEIGHTED and self._num_computed(member) == 1

    def _num_computed(self, member: int) -> int:
        """The operands of a node that are no weights and no constants."""
        computed = self._varying.union(self._states)
        return sum(self._data[source] or source in computed for source, _ in self._nodes[member].inputs)

    def _width(self, member: int) -> int:
        shape = self._nodes[member].shapes[0]
        return (shape[-1] or 0) if shape else 0

    def _reached(self, starts: Iterable[int]) -> set[int]:
        """The nodes of the body that some nodes reach."""
        stack, reached = list(starts), set[int]()
        while stack:
            for reader in self._readers[stack.pop()]:
                if reader in self._members and reader not in reached:
                    reached.add(reader)
                    stack.append(reader)
        return reached
