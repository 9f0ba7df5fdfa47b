"""A computation graph on its way from a source: nodes that can be put together and removed."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from tfnas.graphs.operators import INPUT, OUTPUT

Dims = tuple[int, int, int]


@dataclasses.dataclass(slots=True)
class DraftNode:
    """An operator on its way into a computation graph.

    Attributes:
      operator: name in the vocabulary.
      input: height, width and channels of the first data input.
      output: height, width and channels of the output.
      kernel: height and width of the kernel, (0, 0) for none.
      bias: 1 where a bias is added.
      parameters: numbers that the operator holds.
      scales: True for an operator that combines a single tensor of data with weights.
      kind: name of the operation in the source.
      constant: number that decides the operator, for example the bound of a clip.
      products: multiply-adds for one input, None where the shapes imply them.
      layer: name of the node in the source.
    """

    operator: str
    input: Dims
    output: Dims
    kernel: tuple[int, int] = (0, 0)
    bias: int = 0
    parameters: int = 0
    scales: bool = False
    kind: str = ""
    constant: float | None = None
    products: int | None = None
    layer: str = ""


class Draft:
    """A graph of draft nodes that can be edited; node numbers are in topological order."""

    def __init__(self) -> None:
        self.nodes: dict[int, DraftNode] = {}
        self._inputs: dict[int, list[tuple[int, ...]]] = {}
        self._consumers: dict[int, set[int]] = {}

    def add(self, node: DraftNode, inputs: Sequence[tuple[int, ...]]) -> int:
        """Adds a node at the end.

        Args:
          node: node to add.
          inputs: sources of each operand; several sources where bookkeeping joined them.

        Returns:
          The number of the node.
        """
        number = len(self.nodes)
        self.nodes[number] = node
        self._inputs[number] = [tuple(group) for group in inputs]
        self._consumers[number] = set()
        for source in self.sources(number):
            self._consumers[source].add(number)
        return number

    def operands(self, node: int) -> list[tuple[int, ...]]:
        """The nodes behind each operand."""
        return self._inputs[node]

    def sources(self, node: int) -> list[int]:
        """The distinct nodes that a node reads."""
        return list(dict.fromkeys(source for group in self._inputs[node] for source in group))

    def consumers(self, node: int) -> set[int]:
        """The nodes that read a node."""
        return self._consumers[node]

    def only(self, node: int) -> int | None:
        """The single source of a node, None for a node without sources or with several sources."""
        sources = self.sources(node)
        return sources[0] if len(sources) == 1 else None

    def replace(self, region: set[int], last: int, operator: str, sources: Sequence[int], **changes: object) -> None:
        """Makes a region a single operator.

        Args:
          region: nodes of which only `last` is read from outside; all but `last` vanish.
          last: node that becomes the operator and keeps its readers.
          operator: name of the operator.
          sources: nodes that the operator reads.
          **changes: fields of the node to set; without `parameters` the operator gets the parameters of the region. Its
            multiply-adds are those of the region, and its layer is that of the region's largest node.
        """
        nodes = [self.nodes[last], *(self.nodes[node] for node in sorted(region - {last}))]
        counted = [node.products for node in nodes if node.products is not None]
        totals = {
            "parameters": sum(node.parameters for node in nodes),
            "products": sum(counted) if counted else None,
            "layer": max(nodes, key=lambda node: node.parameters).layer,
        }
        for node in region:
            for source in self.sources(node):
                self._consumers[source].discard(node)
        for node in region - {last}:
            del self.nodes[node], self._inputs[node], self._consumers[node]
        self._inputs[last] = [(source,) for source in sources]
        for source in sources:
            self._consumers[source].add(last)
        fields = {"scales": False, "kernel": (0, 0), "bias": 0, **totals, **changes}
        self.nodes[last] = dataclasses.replace(self.nodes[last], operator=operator, **fields)

    def bypass(self, node: int) -> None:
        """Removes a node with one source, which takes over its readers."""
        source = self.only(node)
        for reader in self._consumers[node]:
            self._inputs[reader] = [
                tuple(source if other == node else other for other in group) for group in self._inputs[reader]
            ]
            self._consumers[source].add(reader)
        self._consumers[source].discard(node)
        del self.nodes[node], self._inputs[node], self._consumers[node]

    def live_order(self) -> list[int]:
        """The nodes on a path from an input to an output, in topological order."""
        forward = self._reached(INPUT, self.consumers)
        backward = self._reached(OUTPUT, self.sources)
        # A fused operator has the last number of its region, so numbers still run forwards.
        return sorted(forward & backward)

    def _reached(self, operator: str, neighbours: Callable[[int], Sequence[int] | set[int]]) -> set[int]:
        stack = [number for number, node in self.nodes.items() if node.operator == operator]
        seen = set(stack)
        while stack:
            for other in neighbours(stack.pop()):
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        return seen

    def of(self, *operators: str) -> Iterator[int]:
        """The nodes with one of some operators that still exist when their turn comes."""
        for number in [number for number, node in self.nodes.items() if node.operator in operators]:
            if number in self.nodes:
                yield number
