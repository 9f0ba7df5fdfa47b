"""Motifs against brute force, under permutation, and the published rule against its literal description."""

import collections
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfnas.errors import ConfigurationError
from tfnas.graphs.motifs import baselines, mining, weisfeiler_lehman
from tfnas.graphs.motifs.baselines import bigram_segments
from tfnas.graphs.motifs.chains import Chains
from tfnas.graphs.motifs.config import MotifConfig
from tfnas.graphs.motifs.mining import MotifVocabulary, sequences
from tfnas.graphs.packed import PackedGraphs
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.spaces import get_space


def graphs_of(parts):
    """Packed graphs of (operators, edges) pairs; only what motifs read is meant."""
    kinds = sorted({kind for operators, _ in parts for kind in operators})
    features = np.zeros((len(kinds), 10), np.int32)
    features[:, 0] = kinds
    sizes = np.array([len(operators) for operators, _ in parts])
    edge_counts = np.array([len(edges) for _, edges in parts])
    count = len(parts)
    return PackedGraphs(
        features=features,
        codes=np.concatenate([np.searchsorted(kinds, operators) for operators, _ in parts]).astype(np.int32),
        edges=np.concatenate([np.array(edges, np.int32).reshape(-1, 2) for _, edges in parts]),
        node_offsets=np.append(0, np.cumsum(sizes)),
        edge_offsets=np.append(0, np.cumsum(edge_counts)),
        families=("x",),
        family=np.zeros(count, np.int32),
        labels=np.full(count, np.nan, np.float32),
        structure=np.zeros((count, 10), np.float32),
    )


def random_part(rng, nodes):
    edges = [(a, b) for b in range(1, nodes) for a in range(b) if rng.random() < 2 / nodes or a == b - 1]
    return rng.integers(1, 4, nodes).tolist(), edges


def permuted(part, rng):
    operators, edges = part
    numbers = rng.permutation(len(operators))
    renamed = np.empty(len(operators), int)
    renamed[numbers] = operators
    shuffled = [(int(numbers[a]), int(numbers[b])) for a, b in edges]
    return renamed.tolist(), [shuffled[place] for place in rng.permutation(len(edges))]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_order_is_topological_and_codes_are_what_feeds_a_node(seed):
    rng = np.random.default_rng(seed)
    parts = [random_part(rng, int(rng.integers(1, 12))) for _ in range(3)]
    found = sequences(graphs_of(parts), 2)
    offset = 0
    expected = {}
    for number, (operators, edges) in enumerate(parts):
        own = found.order[found.offsets[number] : found.offsets[number + 1]] - offset
        place = {node: rank for rank, node in enumerate(own.tolist())}
        assert sorted(place) == list(range(len(operators)))
        assert all(place[a] < place[b] for a, b in edges)

        def code(node, steps, operators=operators, edges=edges):
            if not steps:
                return operators[node]
            heard = sorted(map(repr, (code(a, steps - 1) for a, b in edges if b == node)))
            return (repr(code(node, steps - 1)), tuple(heard))

        for rank, node in enumerate(own.tolist()):
            text = repr(code(node, 2))
            assert (
                expected.setdefault(text, found.codes[found.offsets[number] + rank])
                == found.codes[found.offsets[number] + rank]
            )
        offset += len(operators)
    assert len(set(expected.values())) == len(expected)


def node_by_node(count, edges, colours):
    """Depth-first topological order without chains, and longest paths from inputs and to outputs."""
    targets = {node: [b for a, b in edges if a == node] for node in range(count)}
    waiting = {node: sum(b == node for _, b in edges) for node in range(count)}
    stack = sorted((node for node in range(count) if not waiting[node]), key=lambda node: (colours[node], node))[::-1]
    order = []
    while stack:
        node = stack.pop()
        order.append(node)
        for target in sorted(targets[node], key=colours.__getitem__)[::-1]:
            waiting[target] -= 1
            if not waiting[target]:
                stack.append(target)
    depth, height = [0] * count, [0] * count
    for node in order:
        for target in targets[node]:
            depth[target] = max(depth[target], depth[node] + 1)
    for node in reversed(order):
        height[node] = max((height[target] + 1 for target in targets[node]), default=0)
    return order, depth, height


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 1, 3, 400]))
def test_chains_equal_steps_from_node_to_node(seed, graphs):
    """Graphs one by one, and many side by side; a cycle in one of them is an error."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0 if graphs > 1 else 1, 14, graphs)
    offsets = np.append(0, np.cumsum(sizes))
    colours = rng.integers(0, 4, offsets[-1]).astype(np.uint64)
    pairs, expected = [np.zeros((0, 2), int)], []
    for first, count in zip(offsets[:-1].tolist(), sizes.tolist(), strict=True):
        numbers = rng.permutation(count) if seed % 2 else np.arange(count)
        kept = [(a, b) for b in range(count) for a in range(b) if rng.random() < 1.5 / count]
        edges = [(int(numbers[a]), int(numbers[b])) for a, b in (kept[place] for place in rng.permutation(len(kept)))]
        pairs.append(np.array(edges, int).reshape(-1, 2) + first)
        order, *lengths = node_by_node(count, edges, colours[first : first + count].tolist())
        expected.append([[first + node for node in order], *lengths])
    sources, targets = np.concatenate(pairs).T
    chains = Chains(sources, targets, offsets)
    order, depth, height = (list(itertools.chain(*parts)) for parts in zip(*expected, strict=True))
    assert chains.topological(colours).tolist() == order
    assert [lengths.tolist() for lengths in chains.longest_paths()] == [depth, height]
    if len(sources):
        with pytest.raises(ConfigurationError, match="a graph has a cycle"):
            Chains(np.append(sources, targets[-1]), np.append(targets, sources[-1]), offsets).topological(colours)


@pytest.mark.parametrize("space", ["nasbench101", "nats_size"])
def test_numbers_of_nodes_make_no_difference(space):
    rng = np.random.default_rng(0)
    graphs = pack_cells(get_space(space), get_space(space).sample(20, rng))
    parts = [
        (graphs.features[graphs.codes[a:b], 0].tolist(), graphs.graph_edges(row).tolist())
        for row, (a, b) in enumerate(zip(graphs.node_offsets[:-1], graphs.node_offsets[1:], strict=True))
    ]
    first, second = graphs_of(parts), graphs_of([permuted(part, rng) for part in parts])
    np.testing.assert_array_equal(sequences(first, 2).codes, sequences(second, 2).codes)
    vocabulary = MotifVocabulary.mined(MotifConfig(), first)
    one, other = vocabulary.split(first), vocabulary.split(second)
    np.testing.assert_array_equal(one.kind, other.kind)
    np.testing.assert_array_equal(one.edges, other.edges)
    for rule in (bigram_segments, lambda g: baselines.fixed_size(g, sequences(g, 1), 7)):
        np.testing.assert_array_equal(rule(first).size, rule(second).size)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_vocabulary_and_split_equal_brute_force(seed):
    rng = np.random.default_rng(seed)
    graphs = graphs_of([random_part(rng, int(rng.integers(1, 15))) for _ in range(5)])
    config = MotifConfig(steps=1, min_length=2, max_length=4, min_graphs=2)
    vocabulary = MotifVocabulary.mined(config, graphs)
    found = sequences(graphs, 1)
    rows = [found.codes[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
    seen = collections.Counter()
    for row in rows:
        seen.update({tuple(row[a : a + n]) for n in (2, 3, 4) for a in range(len(row) - n + 1)})
    frequent = {window for window, count in seen.items() if count >= 2}
    for length in (2, 3, 4):
        assert len(vocabulary.kinds.get(length, ())) == sum(len(window) == length for window in frequent)
    macro = vocabulary.split(graphs)
    pieces = []
    for number, row in enumerate(rows):
        place = 0
        while place < len(row):
            length = max((n for n in (2, 3, 4) if tuple(row[place : place + n]) in frequent), default=1)
            length = min(length, len(row) - place)
            pieces.append((number, tuple(row[place : place + length])))
            place += length
    assert macro.size.tolist() == [len(codes) for _, codes in pieces]
    assert macro.graph.tolist() == [number for number, _ in pieces]
    names = {}
    for kind, (_, codes) in zip(macro.kind.tolist(), pieces, strict=True):
        assert names.setdefault(codes, kind) == kind
    assert len(set(names.values())) == len(names)


def test_motifs_that_share_an_edge_are_joined():
    """A chain of six: pieces of two, joined one after the other."""
    graphs = graphs_of([([1, 2, 1, 2, 1, 2], [(a, a + 1) for a in range(5)]), ([3], [])])
    macro = baselines.fixed_size(graphs, sequences(graphs, 0), 2)
    assert macro.size.tolist() == [2, 2, 2, 1]
    assert macro.edges.tolist() == [[0, 1], [1, 2]]
    assert len(set(macro.kind[:3].tolist())) == 1
    thirds = baselines.fixed_number(graphs, sequences(graphs, 0), 3)
    assert thirds.size.tolist() == [2, 2, 2, 1]
    drawn = baselines.random_sizes(graphs, sequences(graphs, 0))
    assert drawn.size.sum() == 7


def literal_bigrams(types):
    """The published rule, word by word."""
    count = len(types)
    pairs = collections.Counter(itertools.pairwise(types))
    f = [pairs[types[i], types[i + 1]] for i in range(count - 1)]
    d = [abs(f[i + 1] - f[i]) for i in range(count - 2)]
    often = collections.Counter(value for value in d if value)
    theta = min((value for value in often if often[value] == max(often.values())), default=0)
    segments, i = [[types[0]]], 0
    while i < count - 2:
        if abs(f[i] - f[i + 1]) <= theta:
            segments[-1].append(types[i + 1])
            i += 1
        else:
            if f[i] > f[i + 1]:
                segments[-1].append(types[i + 1])
                i += 1
            segments.append([types[i + 1]])
            i += 1
    if i + 1 < count:
        segments[-1].append(types[i + 1])
    return [len(segment) for segment in segments]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_published_rule(seed, nodes):
    graphs = graphs_of([random_part(np.random.default_rng(seed), nodes)])
    found = sequences(graphs, 0, operators=False)
    place = {int(node): rank for rank, node in enumerate(found.order)}
    types = [
        tuple(sorted(rank - place[int(a)] for a, b in graphs.edges if place[int(b)] == rank)) for rank in range(nodes)
    ]
    assert bigram_segments(graphs).size.tolist() == literal_bigrams(types)


def test_odd_graphs():
    """One node, disconnected parts, no nodes at all."""
    graphs = graphs_of([([1], []), ([1, 2, 1], []), ([], []), ([1, 2], [(0, 1)])])
    macro = MotifVocabulary.mined(MotifConfig(min_graphs=1), graphs).split(graphs)
    assert macro.graph.tolist() == [0, 1, 3]
    assert macro.size.tolist() == [1, 3, 2]
    assert macro.edges.shape == (0, 2)
    assert bigram_segments(graphs).size.sum() == 6
    with pytest.raises(ConfigurationError, match="cycle"):
        sequences(graphs_of([([1, 2], [(0, 1), (1, 0)])]), 1)
    with pytest.raises(ConfigurationError, match="1 <= min_length <= max_length"):
        MotifConfig(min_length=3, max_length=2)


def test_a_graph_smaller_than_the_longest_motif():
    vocabulary = MotifVocabulary.mined(MotifConfig(), graphs_of([([1, 2, 3] * 8, [(a, a + 1) for a in range(23)])] * 2))
    macro = vocabulary.split(graphs_of([([1, 2, 3], [(0, 1), (1, 2)])]))
    assert macro.size.tolist() == [3]


@pytest.mark.parametrize("edges", [0, 1, 20, 400])
def test_heard_sums(edges):
    """Nodes with no edge, a few and many edges hear the sum over all of them."""
    rng = np.random.default_rng(edges)
    sources, targets = rng.integers(0, 30, edges), rng.integers(0, 30, edges) // 2
    colours = rng.integers(0, 2**64, 30, np.uint64)
    expected = np.zeros_like(colours)
    np.add.at(expected, targets, weisfeiler_lehman.HeardSums(np.arange(30), np.arange(30))(colours)[sources])
    np.testing.assert_array_equal(weisfeiler_lehman.HeardSums(sources, targets)(colours), expected)


@pytest.mark.parametrize("count", [1, 2, 1000])
@pytest.mark.parametrize("largest", [2**64, 2**20])
def test_hashes_among_kinds(count, largest):
    """Also where kinds are not spread evenly."""
    rng = np.random.default_rng(count)
    kinds = np.unique(rng.integers(0, largest, count, np.uint64))
    ends = np.array([0, 2**64 - 1], np.uint64)
    hashes = np.concatenate([rng.integers(0, largest, 500, np.uint64), kinds, ends])
    np.testing.assert_array_equal(mining.among(hashes, kinds), np.isin(hashes, kinds))
