"""Distinct neighbourhoods of operators against sets of nested tuples, and states computed once for each."""

import collections

import numpy as np
import pytest
import tensorflow as tf

from tests.graphs.test_packed import sample
from tfnas.graphs.neighbourhoods import neighbourhoods, sums
from tfnas.graphs.packed import DeviceGraphs, pack

ROUNDS = 3


def nested(batch, ways, rounds):
    """The neighbourhood of every node as nested tuples, round after round."""
    nodes, sources, targets = (np.asarray(values) for values in (batch.nodes, batch.sources, batch.targets))
    names = [tuple(row) for row in nodes.reshape(len(nodes), -1).tolist()]
    found = [names]
    for _ in range(rounds):
        heard = [collections.defaultdict(list) for _ in ways]
        for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
            for way, into in zip(ways, heard, strict=True):
                sender, receiver = (source, target) if way == "forward" else (target, source)
                into[receiver].append(names[sender])
        names = [(name, *(tuple(sorted(into[node])) for into in heard)) for node, name in enumerate(names)]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        names = [(numbers[name],) for name in names]
        found.append(names)
    return found


@pytest.mark.parametrize("ways", [("forward",), ("forward", "backward")])
def test_neighbourhoods_are_those_of_nested_tuples(ways):
    batch = pack(sample(count=3)).flat_batch()
    for round_, names in zip(neighbourhoods(batch, ROUNDS, ways), nested(batch, ways, ROUNDS), strict=True):
        numbers = round_.of_node.numpy()
        assert len(round_.first) == len(set(names)) == len(set(zip(numbers.tolist(), names, strict=True)))


@pytest.mark.parametrize("ways", [("forward",), ("forward", "backward")])
@pytest.mark.parametrize("table", [False, True])
def test_states_and_gradients_equal_those_of_all_nodes(table, ways, rng):
    graphs = pack(sample(count=2) + sample("mobilenetv3", 1) + sample(count=2))
    flat, features = graphs.flat_batch(), tf.constant(graphs.features)
    if table:  # padding behind the graphs
        device = DeviceGraphs(graphs, len(graphs))
        flat, _ = device.batch(tf.range(len(graphs)))
    count, real = tf.shape(flat.node_graph)[0], (flat.node_graph < len(graphs)).numpy()
    first = tf.Variable(rng.normal(size=(graphs.features.shape[1], 4)) / 100, dtype=tf.float32)
    weights = [tf.Variable(rng.normal(size=(4, 4)) / 2, dtype=tf.float32) for _ in range(1 + len(ways))]
    upstream = tf.constant(rng.normal(size=(real.sum(), 4)), tf.float32)

    ends = ((flat.sources, flat.targets), (flat.targets, flat.sources))

    def states_of_all():
        nodes = tf.gather(features, flat.nodes) if table else flat.nodes
        states = tf.cast(nodes, tf.float32) @ first
        for _ in range(ROUNDS):
            total = states @ weights[0]
            for weight, (sender, receiver) in zip(weights[1:], ends, strict=False):
                total += tf.math.unsorted_segment_sum(tf.gather(states, sender), receiver, count) @ weight
            states = tf.tanh(total)
        return states

    def states_of_distinct():
        rounds = neighbourhoods(flat, ROUNDS, ways)
        nodes = tf.gather(flat.nodes, rounds[0].first)
        states = tf.cast(tf.gather(features, nodes) if table else nodes, tf.float32) @ first
        for round_ in rounds[1:]:
            messages = tf.reshape(states @ tf.concat(weights, axis=1), [-1, 4])
            states = tf.tanh(sums(messages, round_.messages, tf.size(round_.first)))
        return tf.gather(states, rounds[-1].of_node)

    results = []
    for compute in (states_of_all, states_of_distinct):
        with tf.GradientTape() as tape:
            states = compute()[: real.sum()]
        results.append([states, *tape.gradient(states, [first, *weights], upstream)])
    for expected, found in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_copies_cost_nothing():
    graph = sample(count=1)[0]
    once, many = (pack([graph] * count).flat_batch() for count in (1, 5))
    for one, copies in zip(
        *(neighbourhoods(batch, ROUNDS, ("forward", "backward")) for batch in (once, many)), strict=True
    ):
        assert len(copies.first) == len(one.first)
        np.testing.assert_array_equal(copies.messages, one.messages)
