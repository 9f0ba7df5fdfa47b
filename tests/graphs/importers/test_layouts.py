"""Where channels, positions and the batch stand, tensor by tensor."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.importers.test_torch_graphs import node
from tfnas.graphs.importers.layouts import Layouts
from tfnas.graphs.importers.raw import RawNode
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.importers.tensorflow_graphs import from_concrete_function
from tfnas.graphs.importers.torch_graphs import from_aten
from tfnas.graphs.operators import DROP, MATMUL


def chain(*steps, shape, **fields):
    """Layouts of an input and of nodes that each read the node before."""
    nodes = [RawNode("x", "input", DROP, [], [shape], [True], is_input=True, **fields)]
    for number, (operator, output, changes) in enumerate(steps):
        nodes.append(RawNode(f"n{number}", operator, operator, [(number, 0)], [output], [True], **changes))
    return Layouts(nodes, [False] * len(nodes))


def test_an_image_becomes_tokens():
    """Convolution to 14 x 14 patches of 768 channels, one axis of patches, a transpose: 196 tokens."""
    layouts = chain(
        ("conv", (1, 768, 14, 14), {"channel_axis": 1}),
        (DROP, (1, 768, 196), {}),
        (DROP, (1, 196, 768), {"permutation": (0, 2, 1)}),
        ("concat", (1, 197, 768), {}),
        shape=(1, 3, 224, 224),
        channel_axis=-1,
    )
    assert layouts.dims((0, 0)) == (224, 224, 3)  # the convolution says where the channels of the input stand
    assert [layouts.dims((number, 0)) for number in range(1, 5)] == [
        (14, 14, 768),
        (196, 1, 768),
        (196, 1, 768),
        (197, 1, 768),
    ]


def test_channels_that_a_reshape_splits():
    """Channels shuffled between groups, and grouped with the pixels for a norm, are the same channels again."""
    shuffled = chain(
        ("conv", (1, 6, 4, 5), {"channel_axis": 1}),
        (DROP, (1, 2, 3, 4, 5), {}),
        (DROP, (1, 3, 2, 4, 5), {"permutation": (0, 2, 1, 3, 4)}),
        (DROP, (1, 6, 4, 5), {}),
        (DROP, (1, 2, 60), {}),
        ("relu", (1, 6, 4, 5), {}),
        shape=(1, 3, 4, 5),
    )
    assert shuffled.dims((2, 0)) == (8, 5, 3)
    assert shuffled.dims((4, 0)) == (4, 5, 6)


def test_rows_of_windows():
    """Windows of 2 x 2 pixels, each a row of the batch; a matrix product on flattened rows."""
    layouts = chain(
        (DROP, (1, 2, 2, 3, 2, 8), {}),
        (DROP, (1, 2, 3, 2, 2, 8), {"permutation": (0, 1, 3, 2, 4, 5)}),
        (DROP, (6, 4, 8), {}),
        (MATMUL, (6, 4, 16), {"channel_axis": -1}),
        (DROP, (24, 16), {}),
        (MATMUL, (24, 5), {"channel_axis": -1}),
        shape=(1, 4, 6, 8),
        channel_axis=-1,
    )
    assert layouts.dims((3, 0)) == (6, 4, 8)
    assert layouts.dims((4, 0)) == (6, 4, 16)
    assert layouts.dims((6, 0)) == (2 * 3 * 2, 2, 5)


def test_steps_before_the_batch():
    """A recurrent node reads steps, batch and channels, through a transpose."""
    layouts = chain(
        (DROP, (7, 2, 4), {"permutation": (1, 0, 2)}),
        ("lstm", (7, 1, 2, 5), {"channel_axis": -1, "batch_axis": 1}),
        shape=(2, 7, 4),
    )
    assert layouts.dims((0, 0)) == layouts.dims((1, 0)) == (7, 1, 4)
    assert layouts.dims((2, 0)) == (7, 1, 5)
    assert layouts.per_input((2, 0), 20) == 10


def test_open_extents_and_no_axes():
    layouts = chain((DROP, (1, None), {}), ("mean", (), {}), shape=(1, None, 4))
    assert layouts.dims((0, 0)) == (None, 1, 4)
    assert layouts.dims((1, 0)) == (1, 1, None)
    assert layouts.dims((2, 0)) == (1, 1, 1)


@pytest.mark.parametrize("shape", [(1, 6, 8), (1, 6, 3, 8)])
def test_torch_reads_the_second_axis(shape):
    """A convolution over a sequence or an image, and a linear layer over the transposed tensor."""
    rank = len(shape)
    order = [0, *range(2, rank), 1]
    nodes = [
        node("weight", [], [4, 6, *[1] * (rank - 2)]),
        node("weight", [], [5, 4]),
        node("input", [], list(shape)),
        node("conv1d" if rank == 3 else "conv2d", [2, 0], [1, 4, *shape[2:]], "tensor", "tensor"),
        node("permute", [3], [1, *shape[2:], 4], "tensor", order),
        node("linear", [4, 1], [1, *shape[2:], 5], "tensor", "tensor"),
    ]
    graph = simplify(from_aten(nodes, [5]))
    height, width = (8, 1) if rank == 3 else (3, 8)
    assert graph.shapes[1].tolist() == [height, height, width, width, 6, 4]
    assert graph.shapes[2].tolist() == [height, height, width, width, 4, 5]


def test_channels_first_in_tensorflow():
    kernel = tf.Variable(np.ones((3, 3, 2, 4), np.float32))
    function = tf.function(lambda x: tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME", data_format="NCHW")))
    graph = from_concrete_function(function.get_concrete_function(tf.TensorSpec((None, 2, 5, 7))))
    assert graph.shapes.tolist() == [[5, 5, 7, 7, 2, 2], [5, 5, 7, 7, 2, 4], [5, 5, 7, 7, 4, 4], [5, 5, 7, 7, 4, 4]]


SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 4, 6, 12]), max_size=5).map(tuple)


@st.composite
def sequences(draw):
    """Nodes of any kind over shapes that need not fit, each behind one or two of the nodes before."""
    nodes = [RawNode("x", "input", DROP, [], [draw(SHAPES)], [True], is_input=True)]
    for number in range(1, draw(st.integers(2, 8))):
        source = nodes[draw(st.integers(0, number - 1))]
        shape = draw(st.one_of(SHAPES, st.permutations(source.shapes[0]).map(tuple)))
        inputs = [
            (nodes.index(source), 0),
            *draw(st.lists(st.tuples(st.integers(0, number - 1), st.just(0)), max_size=1)),
        ]
        node = RawNode(
            f"n{number}", "kind", draw(st.sampled_from([DROP, MATMUL, "relu", "gather"])), inputs, [shape], [True]
        )
        node.channel_axis, node.batch_axis = (
            draw(st.sampled_from([None, None, 1, -1])),
            draw(st.sampled_from([None, 0, 1])),
        )
        if draw(st.booleans()):
            node.permutation = tuple(draw(st.permutations(range(len(shape)))))
        nodes.append(node)
    return nodes


@settings(deadline=None, max_examples=300)
@given(sequences())
def test_no_number_of_a_tensor_is_lost(nodes):
    """Heights, widths and channels are the extents of one input of a batch, whatever happened to the axes."""
    layouts = Layouts(nodes, [False] * len(nodes))
    for number, item in enumerate(nodes):
        size, dims = math.prod(item.shapes[0]), math.prod(layouts.dims((number, 0)))
        assert size % dims == 0 if dims else size == 0
