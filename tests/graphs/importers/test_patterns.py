"""Patterns: what they must leave alone, and drafts at random."""

import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfnas.graphs.importers.draft import Draft, DraftNode
from tfnas.graphs.importers.patterns import fuse
from tfnas.graphs.importers.tensorflow_graphs import from_concrete_function

KINDS = [
    *("add", "sub", "mul", "div", "neg", "pow", "square", "sqrt", "rsqrt", "mean", "sum", "variance", "erf", "tanh"),
    *("sigmoid", "minimum", "maximum", "clip", "conv", "matmul", "layer_norm", "space_to_batch", "batch_to_space"),
]


def operators(call, *shape):
    function = tf.function(call).get_concrete_function(tf.TensorSpec((None, *shape)))
    return sorted(from_concrete_function(function).operator_names[1:-1])


def test_a_gated_linear_unit_is_no_swish():
    def gated(x):
        first, second = tf.split(x, 2, axis=-1)
        return first * tf.sigmoid(second)

    assert operators(gated, 8) == ["mul", "sigmoid"]
    assert operators(lambda x: x * tf.sigmoid(x), 8) == ["swish"]


def test_distances_to_a_centre_are_no_norm():
    centre = tf.Variable(tf.random.normal((8,)))
    names = operators(lambda x: tf.sqrt(tf.reduce_sum((x - centre) ** 2, axis=-1, keepdims=True)), 8)
    assert "sqrt" in names
    assert not {"layer_norm", "rms_norm", "l2_norm"} & set(names)


def test_other_powers_and_products_are_no_norm():
    weights = tf.Variable(tf.random.normal((8,)))
    for inner in (lambda x: x**4, lambda x: x * weights):
        names = operators(lambda x, inner=inner: x * tf.math.rsqrt(tf.reduce_mean(inner(x), -1, keepdims=True)), 8)
        assert "rms_norm" not in names
    assert operators(lambda x: x * tf.math.rsqrt(tf.reduce_mean(x**2, -1, keepdims=True)), 8) == ["rms_norm"]


def test_positions_are_not_the_shift_of_a_norm():
    scale, table = tf.Variable(tf.random.normal((8,))), tf.Variable(tf.random.normal((16, 8)))

    def call(x):
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-6) * scale + table

    assert operators(call, 16, 8) == ["add", "layer_norm"]


@st.composite
def drafts(draw):
    draft = Draft()
    for number in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(KINDS)) if number else "input"
        sources = draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=3)) if number else []
        constant = draw(st.sampled_from([None, 2.0, 3.0, 6.0]))
        node = DraftNode(kind, (4, 4, 8), (4, 4, 8), parameters=draw(st.sampled_from([0, 8, 9])), constant=constant)
        node.scales = len(sources) == 1 and draw(st.booleans())
        draft.add(node, [(source,) for source in sources])
    draft.add(DraftNode("output", (4, 4, 8), (4, 4, 8)), [(draw(st.integers(0, len(draft.nodes) - 1)),)])
    return draft


@settings(deadline=None, max_examples=300)
@given(drafts())
def test_random_drafts_stay_whole(draft):
    """No parameter is lost, edges run forwards between nodes that exist, and readers know what they read."""
    before = sum(node.parameters for node in draft.nodes.values())
    fuse(draft)
    assert sum(node.parameters for node in draft.nodes.values()) == before
    for node in draft.nodes:
        for source in draft.sources(node):
            assert source < node
            assert node in draft.consumers(source)
        assert all(node in draft.sources(reader) for reader in draft.consumers(node))
