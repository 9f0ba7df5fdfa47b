"""Computation graphs as networkx sees them, and whether two are the same network."""

import collections

import networkx as nx

from tfnas.graphs.computation_graph import ComputationGraph


def to_networkx(graph: ComputationGraph) -> nx.DiGraph:
    """The graph with the attributes `operator`, `shape`, `kernel`, `bias` and `parameters` on its nodes."""
    copy = nx.DiGraph(name=graph.name)
    columns = (graph.shapes.tolist(), graph.kernels.tolist(), graph.bias.tolist(), graph.parameters.tolist())
    for node, (operator, shape, kernel, bias, parameters) in enumerate(
        zip(graph.operator_names, *columns, strict=True)
    ):
        copy.add_node(
            node, operator=operator, shape=tuple(shape), kernel=tuple(kernel), bias=bias, parameters=parameters
        )
    copy.add_edges_from(graph.edges.tolist())
    return copy


def equivalent(first: ComputationGraph, second: ComputationGraph) -> bool:
    """Whether two graphs are isomorphic, all node attributes included.

    Both are coloured by Weisfeiler-Lehman refinement first, so that few assignments are left to try.
    """
    if (first.num_nodes, first.num_edges) != (second.num_nodes, second.num_edges):
        return False
    copies = [to_networkx(graph) for graph in (first, second)]
    colours = [refined_colours(copy) for copy in copies]
    if collections.Counter(colours[0].values()) != collections.Counter(colours[1].values()):
        return False
    for copy, colour in zip(copies, colours, strict=True):
        nx.set_node_attributes(copy, colour, "colour")
    return nx.is_isomorphic(*copies, node_match=lambda a, b: a["colour"] == b["colour"])


def refined_colours(graph: nx.DiGraph) -> dict[int, int]:
    """Colours that differ wherever neighbourhoods of any depth do."""
    colours = {node: hash(tuple(sorted(data.items()))) for node, data in graph.nodes(data=True)}
    count = 0
    while count != (count := len(set(colours.values()))):
        colours = {
            node: hash(
                (
                    colours[node],
                    tuple(sorted(colours[other] for other in graph.pred[node])),
                    tuple(sorted(colours[other] for other in graph.succ[node])),
                )
            )
            for node in graph
        }
    return colours
