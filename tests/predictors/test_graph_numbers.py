"""Numbers of graphs in TensorFlow: the same as those that numpy finds, for networks of any kind."""

import numpy as np
import pytest
import tensorflow as tf

from tests.graphs.test_packed import sample
from tfnas.graphs.form_numbers import FORM_NUMBERS, KINDS, form_numbers
from tfnas.graphs.packed import pack
from tfnas.predictors import graph_numbers as module
from tfnas.predictors.graph_numbers import COUNTS, NUMBERS, groups

graph_numbers = tf.function(module.graph_numbers, autograph=False, reduce_retracing=True)

PAIRS = {
    **{f"{statistic} {kind}": f"{statistic}_{kind}" for statistic in ("longest", "shortest", "mean") for kind in KINDS},
    **{f"total {kind}": f"total_{kind}" for kind in KINDS},
    **{f"log multiply_adds_{stage}": f"log_multiply_adds_{stage}" for stage in range(4)},
    "log receptive_field": "log_receptive_field",
    "log activation_memory": "log_activation_memory",
    "narrowest width": "narrowest",
    "widest width": "widest",
    "share spatial": "share_of_spatial",
}


@pytest.fixture(scope="module")
def graphs():
    return [graph for space in ("nasbench101", "nats_size", "darts", "mobilenetv3") for graph in sample(space, 3)]


def test_numbers_are_those_of_the_form(graphs):
    packed = pack(graphs)
    found, expected = graph_numbers(packed.flat_batch()).numpy(), form_numbers(packed)
    for own, other in PAIRS.items():
        values = found[:, NUMBERS.index(own)], expected[:, FORM_NUMBERS.index(other)]
        np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-4, err_msg=own)


def test_operators_and_edges_are_counted(graphs):
    found = graph_numbers(pack(graphs).flat_batch()).numpy()
    for row, graph in enumerate(graphs):
        for name, count in graph.counts().items():
            assert found[row, COUNTS.index(f"count {name}")] == pytest.approx(np.log1p(count), rel=1e-4)
        assert found[row, NUMBERS.index("log edges")] == pytest.approx(np.log1p(graph.num_edges), rel=1e-4)


def test_a_graph_has_the_numbers_it_has_alone(graphs):
    together = graph_numbers(pack(graphs).flat_batch()).numpy()
    alone = [graph_numbers(pack([graph]).flat_batch()).numpy()[0] for graph in graphs]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4)


def test_a_cycle_is_an_error():
    chain = pack(sample("nats_size", 1)).flat_batch()
    back = [tf.concat([ends, [end]], 0) for ends, end in ((chain.sources, 5), (chain.targets, 4))]
    assert (4, 5) in set(zip(chain.sources.numpy(), chain.targets.numpy(), strict=True))
    with pytest.raises(tf.errors.InvalidArgumentError, match="a graph has a cycle"):
        graph_numbers(chain._replace(sources=back[0], targets=back[1]))


def test_groups_hold_every_number_once():
    assert sorted(column for columns in groups().values() for column in columns) == list(range(len(NUMBERS)))
