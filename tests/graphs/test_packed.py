"""Packed graphs, structure and Weisfeiler-Lehman features against networkx and slow Python."""

import collections

import networkx as nx
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.isomorphism import to_networkx
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.graphs import packed
from tfnas.graphs.computation_graph import ComputationGraph, to_example, to_graph_tensor
from tfnas.graphs.motifs import weisfeiler_lehman
from tfnas.graphs.operators import WEIGHTED
from tfnas.graphs.packed import DeviceGraphs, PackedGraphs, flat_view, node_features, pack, parse_examples
from tfnas.graphs.structure import STRUCTURE, structure
from tfnas.networks import symbolic
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.spaces import get_space


def sample(space="nasbench101", count=4, seed=0):
    space = get_space(space)
    cells = space.sample(count, np.random.default_rng(seed))
    return [symbolic.build(space, space.architecture(cells, row), label=row / 10) for row in range(count)]


def test_packing_keeps_every_graph():
    graphs = sample() + sample("mobilenetv3", 2)
    whole = pack(graphs)
    assert whole.families == ("nasbench101", "mobilenetv3")
    assert whole.family.tolist() == [0, 0, 0, 0, 1, 1]
    for row, graph in enumerate(graphs):
        nodes = whole.codes[whole.node_offsets[row] : whole.node_offsets[row + 1]]
        np.testing.assert_array_equal(whole.features[nodes], node_features(graph))
        np.testing.assert_array_equal(whole.graph_edges(row), graph.edges)
        assert whole.labels[row] == np.float32(graph.label)


def test_some_rows_and_several_packs(monkeypatch):
    graphs = sample(count=5) + sample("nasbench201", 3)
    whole = pack(graphs)
    parts = PackedGraphs.concatenate([pack(graphs[:2]), pack(graphs[2:])])
    monkeypatch.setattr(packed, "_PACKED_AT_A_TIME", 3)
    for other in (parts, pack(iter(graphs))):
        assert other.families == whole.families
        for name in ("features", "codes", "edges", "node_offsets", "edge_offsets", "family", "labels", "structure"):
            np.testing.assert_array_equal(getattr(other, name), getattr(whole, name))
    chosen = whole[np.array([6, 1])]
    assert len(chosen) == 2
    np.testing.assert_array_equal(chosen.graph_edges(1), graphs[1].edges)
    with pytest.raises(ConfigurationError, match="no graphs"):
        PackedGraphs.concatenate([])
    with pytest.raises(ConfigurationError, match="no graphs"):
        pack([])


def test_cells_are_packed_the_same_by_any_number_of_processes():
    cells = get_space("nasbench201").sample(1100, np.random.default_rng(1))
    one, two = (pack_cells(get_space("nasbench201"), cells, layout="benchmark", num_workers=count) for count in (1, 2))
    np.testing.assert_array_equal(one.codes, two.codes)
    np.testing.assert_array_equal(one.edges, two.edges)


def flat(batch):
    """Nodes, owners and edges of a batch without its padding."""
    owners = batch.node_graph.numpy()
    count = len(batch.sizes)
    real = np.flatnonzero(owners < count)
    edges = np.stack([batch.sources.numpy(), batch.targets.numpy()], axis=1)
    return owners[real], batch.nodes.numpy()[real], edges[(edges < len(owners) - 1).all(axis=1)]


def test_the_four_ways_to_a_batch_agree():
    graphs = sample(count=3) + sample("nasbench201", 2)
    packed = pack(graphs)
    device = DeviceGraphs(packed, 5)
    batch, kept = device.batch(tf.range(5))
    assert kept.numpy().all()
    ways = [
        packed.flat_batch(),
        flat_view(to_graph_tensor(graphs).merge_batch_to_components()),
        parse_examples(tf.constant([to_example(graph).SerializeToString() for graph in graphs])),
        batch._replace(nodes=tf.gather(device.features, batch.nodes)),
    ]
    expected = flat(ways[0])
    for way in ways[1:]:
        for part, wanted in zip(flat(way), expected, strict=True):
            np.testing.assert_array_equal(part, wanted)
        np.testing.assert_array_equal(way.sizes, ways[0].sizes)


def test_a_batch_leaves_out_what_has_no_room():
    graphs = sample(count=40)
    device = DeviceGraphs(pack(graphs), 4)
    sizes = np.array([graph.num_nodes for graph in graphs])
    device.node_capacity = int(np.sort(sizes)[-4:].sum()) - 1  # one node too few for the four largest
    batch, kept = device.batch(tf.constant(np.argsort(sizes)[-4:], tf.int32))
    assert kept.numpy().tolist() == [1, 1, 1, 0]
    assert batch.sizes.numpy()[3] == 0
    assert set(flat(batch)[0]) == {0, 1, 2}


def test_structure_against_networkx():
    for graph in sample(count=3) + sample("darts", 1) + sample("mobilenetv3", 1):
        found = dict(zip(STRUCTURE, structure(graph).tolist(), strict=True))
        oracle = to_networkx(graph)
        weighted = {node: data["operator"] in WEIGHTED for node, data in oracle.nodes(data=True)}
        depths = dict.fromkeys(oracle, 1)
        for node in nx.topological_sort(oracle):
            for other in oracle.successors(node):
                depths[other] = max(depths[other], depths[node] + 1)
        assert found["depth"] == nx.dag_longest_path_length(oracle) + 1
        assert found["mean_depth"] == pytest.approx(np.mean(list(depths.values())), rel=1e-5)
        for source, target in oracle.edges:
            oracle.edges[source, target]["weight"] = int(weighted[target])
        longest = nx.dag_longest_path_length(oracle) + int(weighted[0])
        assert found["weighted_depth"] == longest
        assert found["log_parameters"] == pytest.approx(np.log1p(graph.total_parameters), rel=1e-5)
        walks = np.random.default_rng(0)
        lengths = []
        for _ in range(3000):
            node, length = 0, 1
            while following := list(oracle.successors(node)):
                node, length = following[walks.integers(len(following))], length + 1
            lengths.append(length)
        assert found["mean_path"] == pytest.approx(np.mean(lengths), rel=0.02)


def test_structure_of_an_empty_graph():
    empty = ComputationGraph(*(np.zeros(shape) for shape in ((0,), (0, 6), (0, 2), (0,), (0,), (0, 2))), name="nothing")
    with pytest.raises(InvalidArchitectureError, match="nothing: an empty graph"):
        structure(empty)
    with pytest.raises(InvalidArchitectureError, match="nothing"):
        pack([empty])


def test_colours_partition_nodes_as_refinement_by_hand_does():
    graphs = sample(count=3, seed=3)
    packed = pack(graphs)
    counts, vocabularies = weisfeiler_lehman.colour_counts(packed, 2)
    colours = [
        {node: (data["operator"], data["kernel"][0]) for node, data in to_networkx(graph).nodes(data=True)}
        for graph in graphs
    ]
    for number in range(3):
        if number:
            colours = [
                {node: (own[node], tuple(sorted(own[other] for other in graph.pred[node]))) for node in graph}
                for own, graph in zip(colours, [to_networkx(graph) for graph in graphs], strict=True)
            ]
        expected = [collections.Counter(own.values()) for own in colours]
        names = sorted(set().union(*expected), key=repr)
        table = np.array([[count[name] for name in names] for count in expected])
        found = counts[number].toarray()
        assert found.shape == table.shape == (3, len(vocabularies[number]))
        assert sorted(map(tuple, found.T.tolist())) == sorted(map(tuple, table.T.tolist()))


def test_colours_outside_a_vocabulary_are_left_out():
    first, second = pack(sample(count=2)), pack(sample("mobilenetv3", 1))
    _, vocabularies = weisfeiler_lehman.colour_counts(first, 1)
    counts, _ = weisfeiler_lehman.colour_counts(second, 1, vocabularies)
    shared = sum(name in ("conv", "batch_norm") for name in sample("mobilenetv3", 1)[0].operator_names)
    assert 0 < counts[0].sum() < len(second.codes)
    assert counts[0].shape[1] == len(vocabularies[0])
    assert shared > 0


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 1, 2, 40]), st.sampled_from([3, 1000, 2**31]))
def test_distinct_rows_are_those_of_numpy(seed, count, largest):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-largest, largest, (count, 10)).astype(np.int32)[rng.integers(0, max(count, 1), count)]
    features, codes = packed._distinct(rows)
    expected, inverse = np.unique(rows, axis=0, return_inverse=True)
    np.testing.assert_array_equal(features, expected)
    np.testing.assert_array_equal(codes, inverse.ravel())
    assert codes.dtype == features.dtype == np.int32
