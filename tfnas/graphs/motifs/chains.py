"""Acyclic graphs as chains of nodes: their order from inputs to outputs, and the lengths of their paths."""

import numpy as np

from tfnas.errors import ConfigurationError


class Chains:
    """N graphs whose nodes are joined to chains.

    Of two nodes that follow one another in a chain, the first feeds the second alone, and the second reads the first
    alone. Three of four operators of a common network follow another operator in a chain, so that the steps of Python,
    which are taken for every chain, are few.

    Args:
      sources: int `[E]`, the node at the start of every edge, counted over all graphs.
      targets: int `[E]`, the node at the end of every edge.
      offsets: int64 `[N + 1]`, bounds: graph g has the nodes from `offsets[g]` to `offsets[g + 1]`.

    Raises:
      ConfigurationError: a chain is a cycle.

    Example:
      >>> chains = Chains(np.array([0, 0, 1, 2, 3]), np.array([1, 2, 3, 4, 4]), np.array([0, 5]))
      >>> chains.topological(np.array([0, 2, 1, 0, 0], np.uint64)).tolist()
      [0, 2, 1, 3, 4]
      >>> [lengths.tolist() for lengths in chains.longest_paths()]
      [[0, 1, 1, 2, 3], [3, 2, 1, 1, 0]]
    """

    def __init__(self, sources: np.ndarray, targets: np.ndarray, offsets: np.ndarray):
        count = int(offsets[-1])
        inner = np.bincount(sources, minlength=count)[sources] == 1
        inner &= np.bincount(targets, minlength=count)[targets] == 1
        first, position = np.arange(count), np.zeros(count, np.int64)
        first[targets[inner]], position[targets[inner]] = sources[inner], 1
        begins = position == 0
        # Every round doubles the number of steps that lead towards the first node of a chain.
        for _ in range(count.bit_length()):
            position += position[first]
            first = first[first]
        if not begins[first].all():
            raise _cycle()
        numbers = np.cumsum(begins) - 1
        self._ascending = bool((sources < targets).all())  # then the chains are in topological order as they are
        self._heads, self._chain, self._position = np.flatnonzero(begins), numbers[first], position
        self._bounds = np.append(0, np.cumsum(begins))[offsets].tolist()
        self._sizes = np.bincount(self._chain, minlength=len(self._heads))
        # Every other edge leads from the last node of a chain to the first node of a chain.
        before, after = self._chain[sources[~inner]], self._chain[targets[~inner]]
        by_source = np.argsort(before, kind="stable")
        self._sources, self._targets = before[by_source], after[by_source]
        self._incoming = np.bincount(self._targets, minlength=len(self._heads))
        edges = np.bincount(self._sources, minlength=len(self._heads))
        self._edges = np.append(0, np.cumsum(edges)).tolist()

    def topological(self, colours: np.ndarray) -> np.ndarray:
        """Depth-first topological order int64 `[nodes]`, ties broken by colours `[nodes]`.

        Raises:
          ConfigurationError: a graph has a cycle.
        """
        chains = self._order(colours[self._heads])
        starts = np.empty(len(chains), np.int64)
        starts[chains] = np.cumsum(self._sizes[chains]) - self._sizes[chains]
        order = np.empty(len(self._position), np.int64)
        order[starts[self._chain] + self._position] = np.arange(len(order))
        return order

    def longest_paths(self) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the longest path from an input to every node, and from it to an output, int64 `[nodes]` each.

        Raises:
          ConfigurationError: a graph has a cycle.
        """
        sizes, sources, targets = self._sizes.tolist(), self._sources, self._targets
        if not self._ascending:
            ranks = np.argsort(self._order(np.zeros(len(sizes), np.uint64)))
            along = np.argsort(ranks[sources], kind="stable")
            sources, targets = sources[along], targets[along]
        edges = list(zip(sources.tolist(), targets.tolist(), strict=True))
        depth, height = [0] * len(sizes), [0] * len(sizes)
        for source, target in edges:
            beyond = depth[source] + sizes[source]
            if depth[target] < beyond:
                depth[target] = beyond
        for source, target in reversed(edges):
            beyond = height[target] + sizes[target]
            if height[source] < beyond:
                height[source] = beyond
        last = np.array(height, np.int64) + self._sizes - 1
        return np.array(depth, np.int64)[self._chain] + self._position, last[self._chain] - self._position

    def _order(self, colours: np.ndarray) -> np.ndarray:
        """The chains in depth-first topological order int64 `[chains]`, ties broken by colours `[chains]`."""
        waiting, edges = self._incoming.tolist(), self._edges
        targets = self._targets[np.lexsort((colours[self._targets], self._sources))].tolist()
        roots = np.flatnonzero(self._incoming == 0)
        inputs = np.searchsorted(roots, self._bounds).tolist()
        ranked = roots.tolist()
        order: list[int] = []
        for graph, stop in enumerate(self._bounds[1:]):
            stack = ranked[inputs[graph] : inputs[graph + 1]]
            if len(stack) > 1:
                stack.sort(key=colours.__getitem__)
            stack.reverse()
            while stack:
                chain = stack.pop()
                order.append(chain)
                for target in reversed(targets[edges[chain] : edges[chain + 1]]):
                    waiting[target] -= 1
                    if not waiting[target]:
                        stack.append(target)
            if len(order) != stop:
                raise _cycle()
        return np.array(order, np.int64)


def _cycle() -> ConfigurationError:
    return ConfigurationError("a graph has a cycle; motifs are found in acyclic graphs")
