"""Acyclic graphs as chains of nodes: their order from inputs to outputs, and the lengths of their paths."""

import itertools

import numpy as np

from tfnas.errors import ConfigurationError

_SIDE_BY_SIDE = 40
"""Graphs from which on NumPy takes an edge of each in less time than Python takes one edge after the other."""


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
            further = position[first]
            if not further.any():
                break
            position += further
            first = first[first]
        if not begins[first].all():
            raise _cycle()
        numbers = np.cumsum(begins) - 1
        self._ascending = bool((sources < targets).all())  # then the chains are in topological order as they are
        self._heads, self._chain, self._position = np.flatnonzero(begins), numbers[first], position
        self._bounds = np.append(0, np.cumsum(begins))[offsets]
        self._sizes = np.bincount(self._chain, minlength=len(self._heads))
        # Every other edge leads from the last node of a chain to the first node of a chain.
        before, after = self._chain[sources[~inner]], self._chain[targets[~inner]]
        by_source = np.argsort(before, kind="stable")
        self._sources, self._targets = before[by_source], after[by_source]
        self._incoming = np.bincount(self._targets, minlength=len(self._heads))
        edges = np.bincount(self._sources, minlength=len(self._heads))
        self._edges = np.append(0, np.cumsum(edges))

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
        sources, targets = self._sources, self._targets
        if not self._ascending:
            ranks = np.argsort(self._order(np.zeros(len(self._sizes), np.uint64)))
            along = np.argsort(ranks[sources], kind="stable")
            sources, targets = sources[along], targets[along]
        # The first edges of all graphs, then the second edges of all graphs, ...
        counts = np.diff(self._edges[self._bounds])
        turns = np.arange(len(sources)) - np.repeat(np.cumsum(counts) - counts, counts)
        in_turn = np.argsort(turns, kind="stable")
        sources, targets = sources[in_turn], targets[in_turn]
        bounds = np.append(0, np.cumsum(np.bincount(turns)))
        depth = _longest(sources, targets, self._sizes, bounds)
        height = _longest(targets[::-1], sources[::-1], self._sizes, len(sources) - bounds[::-1])
        last = height + self._sizes - 1
        return depth[self._chain] + self._position, last[self._chain] - self._position

    def _order(self, colours: np.ndarray) -> np.ndarray:
        """The chains in depth-first topological order int64 `[chains]`, ties broken by colours `[chains]`."""
        # Every chain's targets from the last to the first, as they are put on the stack; so are the roots of a graph.
        targets = self._targets[np.lexsort((colours[self._targets], self._sources))[::-1]]
        edges = len(targets) - self._edges
        sizes = np.diff(self._bounds)
        roots = np.flatnonzero(self._incoming == 0)
        owner = np.searchsorted(self._bounds, roots, side="right") - 1
        roots = roots[np.lexsort((-np.arange(len(roots)), ~colours[roots].astype(np.uint64), owner))]
        inputs = np.bincount(owner, minlength=len(sizes))
        if len(colours) >= _SIDE_BY_SIDE * sizes.max(initial=1):
            order = self._order_side_by_side(targets, edges, roots, inputs)
        else:
            order = self._order_one_by_one(targets.tolist(), edges.tolist(), roots.tolist(), inputs.tolist())
        if len(order) != len(colours):
            raise _cycle()
        return order

    def _order_one_by_one(
        self, targets: list[int], edges: list[int], roots: list[int], inputs: list[int]
    ) -> np.ndarray:
        """The order of one graph after the other, see `_order`; shorter if a graph has a cycle."""
        waiting = self._incoming.tolist()
        order: list[int] = []
        first = 0
        for count in inputs:
            stack = roots[first : first + count]
            first += count
            while stack:
                chain = stack.pop()
                order.append(chain)
                for target in targets[edges[chain + 1] : edges[chain]]:
                    if waiting[target] == 1:
                        stack.append(target)
                    else:
                        waiting[target] -= 1
        return np.array(order, np.int64)

    def _order_side_by_side(
        self, targets: np.ndarray, edges: np.ndarray, roots: np.ndarray, inputs: np.ndarray
    ) -> np.ndarray:
        """The order of all graphs, a chain of every graph at a time; see `_order_one_by_one`."""
        waiting, order = self._incoming.copy(), np.full(len(self._heads), -1)
        # The stack of a graph has room for its chains; `tops` are the ends of the stacks of graphs that go on.
        stack, bottoms = np.empty(len(order), np.int64), self._bounds[:-1]
        stack[np.arange(len(roots)) + np.repeat(bottoms - (np.cumsum(inputs) - inputs), inputs)] = roots
        tops, bottoms, taken = (values[inputs > 0] for values in (bottoms + inputs, bottoms, bottoms))
        while len(tops):
            tops = tops - 1
            chains = stack[tops]
            order[taken] = chains
            graphs = np.arange(len(tops))
            edge, stop = edges[chains + 1], edges[chains]
            while len(graphs):
                going = edge < stop
                graphs, edge, stop = graphs[going], edge[going], stop[going]
                heard = targets[edge]
                waiting[heard] -= 1
                ready = waiting[heard] == 0
                stack[tops[graphs[ready]]] = heard[ready]
                tops[graphs[ready]] += 1
                edge = edge + 1
            going = tops > bottoms
            tops, bottoms, taken = tops[going], bottoms[going], taken[going] + 1
        return order[order >= 0]


def _longest(sources: np.ndarray, targets: np.ndarray, sizes: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Sizes int64 `[chains]` of the chains on the longest path to every chain, without the chain itself.

    Args:
      sources: int `[E]`, the chain at the start of every edge; an edge comes after all edges to its source.
      targets: int `[E]`, the chain at the end of every edge.
      sizes: int64 `[chains]`.
      bounds: int `[T + 1]`, bounds of T groups of edges; the edges of a group are of different graphs.
    """
    steps = sizes[sources]
    if len(sources) >= _SIDE_BY_SIDE * (len(bounds) - 1):
        lengths = np.zeros(len(sizes), np.int64)
        for start, stop in itertools.pairwise(bounds.tolist()):
            into = targets[start:stop]
            lengths[into] = np.maximum(lengths[into], lengths[sources[start:stop]] + steps[start:stop])
        return lengths
    longest = [0] * len(sizes)
    for source, target, step in zip(sources.tolist(), targets.tolist(), steps.tolist(), strict=True):
        beyond = longest[source] + step
        if longest[target] < beyond:
            longest[target] = beyond
    return np.array(longest, np.int64)


def _cycle() -> ConfigurationError:
    return ConfigurationError("a graph has a cycle; motifs are found in acyclic graphs")
