"""Computation graphs: what they refuse, records, isomorphism, work."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graphs.isomorphism import equivalent
from tfnas.errors import InvalidArchitectureError
from tfnas.graphs import computation_graph as cg
from tfnas.graphs import gnn
from tfnas.graphs.operators import ATEN, CODES, DROP, ONNX, OPERATORS, SHAPE, TENSORFLOW


def graph(operators=("input", "conv", "output"), edges=((0, 1), (1, 2)), **fields):
    count = len(operators)
    arrays = {
        "shapes": np.tile([8, 8, 8, 8, 3, 3], (count, 1)),
        "kernels": np.zeros((count, 2), int),
        "bias": np.zeros(count, int),
        "parameters": np.arange(count),
    }
    codes = [CODES.get(name, 0) for name in operators]
    unknown = tuple(name for name in operators if name not in CODES)
    return cg.ComputationGraph(codes, edges=np.array(edges).reshape(-1, 2), unknown=unknown, **{**arrays, **fields})


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 12))
    operators = draw(st.lists(st.sampled_from([*OPERATORS[1:], "odd op", "Ünknown"]), min_size=count, max_size=count))
    pairs = [(i, j) for j in range(count) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    integers = st.integers(0, 2**40)
    return graph(
        operators,
        edges,
        shapes=np.array(draw(st.lists(integers, min_size=6 * count, max_size=6 * count))).reshape(count, 6),
        parameters=np.array(draw(st.lists(integers, min_size=count, max_size=count))),
        name=draw(st.text(max_size=8)),
        family=draw(st.text(max_size=8)),
        label=draw(st.floats(0, 1, width=32)),
    )


@settings(deadline=None, max_examples=50)
@given(graphs())
def test_records_give_graphs_back(original):
    read = cg.from_example(cg.to_example(original).SerializeToString())
    for field in ("operators", "shapes", "kernels", "bias", "parameters", "edges"):
        np.testing.assert_array_equal(getattr(read, field), getattr(original, field))
    for field in ("name", "family", "source", "label", "unknown", "operator_names"):
        assert getattr(read, field) == getattr(original, field)


def test_the_record_is_the_one_of_tfgnn():
    original = graph(("input", "odd", "conv", "output"), [(0, 1), (1, 2), (0, 3), (2, 3)], name="n", label=0.5)
    tensor = gnn.parse_single_example(cg.graph_spec(), cg.to_example(original).SerializeToString())
    assert gnn.write_example(tensor) == cg.to_example(original)
    assert tensor.node_sets["op"]["shape"].shape == (4, 6)
    assert tensor.edge_sets["flow"].adjacency.target.numpy().tolist() == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": np.array([[1, 0]])}, "backwards"),
        ({"edges": np.array([[0, 7]])}, "not there"),
        ({"edges": np.array([[0, 1], [0, 1]])}, "twice"),
        ({"kernels": np.zeros((3, 3), int)}, "kernels"),
    ],
)
def test_refuses_what_is_no_graph(changes, message):
    with pytest.raises(InvalidArchitectureError, match=message):
        graph(**changes)


def test_every_unknown_operator_has_a_name():
    with pytest.raises(InvalidArchitectureError, match="unknown"):
        graph(("input", "odd", "output")).replace(unknown=())


def test_damaged_records():
    record = cg.to_example(graph()).SerializeToString()
    with pytest.raises(InvalidArchitectureError):
        cg.from_example(record[: len(record) // 2])
    with pytest.raises(InvalidArchitectureError):
        cg.from_example(tf.train.Example().SerializeToString())


def test_equivalence_is_isomorphism_with_attributes():
    diamond = [(0, 1), (0, 2), (1, 3), (2, 3)]
    first = graph(("input", "conv", "relu", "output"), diamond, parameters=np.array([0, 5, 0, 0]))
    swapped = graph(("input", "relu", "conv", "output"), diamond, parameters=np.array([0, 0, 5, 0]))
    assert equivalent(first, swapped)
    assert not equivalent(first, graph(("input", "relu", "conv", "output"), diamond))
    chain = graph(("input", "conv", "relu", "output"), [(0, 1), (1, 2), (2, 3)], parameters=np.array([0, 5, 0, 0]))
    assert not equivalent(first, chain)


def test_multiply_adds_by_hand():
    """A 3 x 3 convolution with bias on 8 x 8 pixels, a depthwise one without own weights, scores of attention."""
    work = cg.ComputationGraph(
        operators=[CODES[name] for name in ("conv", "depthwise_conv", "matmul", "relu")],
        shapes=[[8, 8, 8, 8, 3, 5], [8, 4, 8, 4, 5, 5], [6, 2, 2, 6, 7, 6], [8, 8, 8, 8, 5, 5]],
        kernels=[[3, 3], [5, 5], [0, 0], [0, 0]],
        bias=[1, 0, 0, 0],
        parameters=[3 * 3 * 3 * 5 + 5, 0, 0, 0],
        edges=[],
    ).multiply_adds
    assert work.tolist() == [135 * 64, 25 * 5 * 16, 12 * 7 * 6, 0]


def test_the_vocabulary_only_grows():
    """Stored graphs hold indices; these must keep their meaning for ever."""
    assert OPERATORS[:8] == ("unknown", "input", "output", "conv", "depthwise_conv", "batch_norm", "relu", "relu6")
    assert (CODES["zero"], CODES["layer_norm"], CODES["gather"], CODES["clip"]) == (26, 28, 68, 85)
    assert len(set(OPERATORS)) == len(OPERATORS)
    for table in (TENSORFLOW, ONNX, ATEN):
        assert set(table.values()) <= {*OPERATORS, DROP, SHAPE}
