"""Slow, plain statements of what tfnas computes fast: graph isomorphism by networkx, validity by counting paths."""

import networkx as nx
import numpy as np


def labelled_graph(operations, adjacency) -> nx.DiGraph:
    """A networkx graph with the operation on every node."""
    graph = nx.DiGraph()
    graph.add_nodes_from((i, {"operation": name}) for i, name in enumerate(operations))
    graph.add_edges_from((int(i), int(j)) for i, j in np.argwhere(adjacency))
    return graph


def isomorphic(first, second) -> bool:
    """Whether two architectures are the same labelled graph."""
    return nx.is_isomorphic(
        labelled_graph(first.operations, first.adjacency),
        labelled_graph(second.operations, second.adjacency),
        node_match=lambda a, b: a["operation"] == b["operation"],
    )


def pruned(operations, adjacency) -> nx.DiGraph:
    """The nodes on a path from the first to the last one."""
    graph = labelled_graph(operations, adjacency)
    last = len(operations) - 1
    kept = (nx.descendants(graph, 0) | {0}) & (nx.ancestors(graph, last) | {last})
    return graph.subgraph(kept if {0, last} <= kept else ())
