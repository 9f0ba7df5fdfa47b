"""Loops and conditions of TensorFlow as single operators; products are worked out by hand."""

import pytest
import tensorflow as tf

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.tensorflow_graphs import from_concrete_function, from_graph_def

ROW = tf.TensorSpec((None, 4))


@pytest.fixture(scope="module")
def weights():
    """Two matrices of 16 numbers."""
    return tf.Variable(tf.eye(4)), tf.Variable(tf.eye(4))


def graph_of(function, *specs):
    return from_concrete_function(tf.function(function).get_concrete_function(*specs or (ROW,)))


def loop(steps, body):
    """A function that applies a body a number of times."""
    return lambda x: tf.while_loop(lambda i, y: i < steps, lambda i, y: (i + 1, body(y)), [tf.constant(0), x])[1]


def test_a_product_of_a_state_and_weights_is_recurrent(weights):
    graph = graph_of(loop(5, lambda state: tf.tanh(state @ weights[0])))
    assert graph.operator_names == ["input", "rnn", "output"]
    assert graph.parameters.tolist() == [0, 16, 0]
    assert graph.multiply_adds.tolist() == [0, 5 * 16, 0]


def test_a_loop_that_counts_from_its_shape(weights):
    function = lambda x: loop(tf.shape(x)[1] // 2, lambda state: state @ weights[0])(x)  # noqa: E731
    assert graph_of(function).multiply_adds.sum() == 2 * 16


def test_an_unknown_number_of_steps_is_told(weights):
    graph = graph_of(lambda x: tf.while_loop(lambda y: tf.reduce_sum(y) < 5.0, lambda y: (y @ weights[0],), [x])[0])
    assert graph.multiply_adds.tolist() == [0, 16, 0]
    assert "unknown number of steps" in graph.notes[0]


def test_nested_loops_multiply(weights):
    first, second = weights
    inner = loop(2, lambda state: tf.nn.relu(state @ first))
    graph = graph_of(loop(3, lambda state: inner(state) @ second))
    assert graph.num_nodes == 3
    assert graph.total_parameters == 32
    assert graph.multiply_adds.sum() == 3 * (2 * 16 + 16)


def test_a_map_over_items_is_an_unknown_operator_with_its_parameters(weights):
    graph = graph_of(
        lambda x: tf.map_fn(lambda row: row @ weights[0], tf.transpose(x, (1, 0, 2))), tf.TensorSpec((None, 6, 4))
    )
    assert graph.operator_names == ["input", "While", "output"]
    assert graph.parameters.tolist() == [0, 16, 0]
    assert graph.multiply_adds.tolist() == [0, 6 * 16, 0]
    assert graph.shapes[1].tolist() == [6, 6, 1, 1, 4, 4]
    assert "a loop of 6 steps" in graph.notes[0]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [(lambda x: tf.constant(True), ["relu"]), (lambda x: tf.shape(x)[1] > 4, ["matmul"])],
)
def test_constant_conditions_are_folded(weights, condition, expected):
    graph = graph_of(lambda x: tf.cond(condition(x), lambda: tf.nn.relu(x), lambda: x @ weights[0]))
    assert graph.operator_names == ["input", *expected, "output"]
    assert not graph.notes


def test_a_constant_condition_inside_a_loop(weights):
    def body(state):
        return tf.cond(tf.constant(False), lambda: state @ weights[0] @ weights[0], lambda: state @ weights[1])

    graph = graph_of(loop(5, body))
    assert graph.operator_names == ["input", "rnn", "output"]
    assert graph.total_parameters == 16
    assert graph.multiply_adds.sum() == 5 * 16


def test_branches_that_data_decides_are_one_operator(weights):
    first, second = weights
    branches = [lambda x: x @ first, tf.nn.relu, lambda x: tf.tanh(x @ second) @ second]
    graph = graph_of(
        lambda x: tf.switch_case(tf.cast(x[0, 0], tf.int32), [lambda branch=branch: branch(x) for branch in branches])
    )
    assert graph.operator_names == ["input", "Case", "output"]
    assert graph.parameters.tolist() == [0, 32, 0]
    assert graph.multiply_adds.tolist() == [0, 32, 0]
    assert "one of 3 branches" in graph.notes[0]


def test_branches_of_different_shapes_are_refused():
    with pytest.raises(InvalidArchitectureError, match=r"node 'cond' \(StatelessIf\): its branches give tensors"):
        graph_of(lambda x: tf.cond(x[0, 0] > 0, lambda: tf.concat([x, x], 1), lambda: x))


def test_a_learning_phase_is_off():
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 4), name="x")
        phase = tf.compat.v1.placeholder_with_default(False, (), name="keras_learning_phase")
        y = tf.cond(phase, lambda: tf.nn.relu(x), lambda: tf.tanh(x))
    imported = from_graph_def(graph.as_graph_def(), ["x"], [y.name])
    assert imported.operator_names == ["input", "tanh", "output"]


def test_an_operation_without_inputs_in_a_loop(weights):
    graph_def = tf.function(loop(5, lambda state: state @ weights[0])).get_concrete_function(ROW).graph.as_graph_def()
    for function in graph_def.library.function:
        for node in function.node_def:
            if node.op == "Identity":
                del node.input[:]
    with pytest.raises(InvalidArchitectureError):
        from_graph_def(graph_def, ["x"], ["Identity:0"])


def test_control_flow_without_functions_is_named():
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (2, 4), name="x")
        y = tf.raw_ops.Merge(inputs=[x, tf.nn.relu(x)])[0]
    with pytest.raises(InvalidArchitectureError, match=r"'Merge' is control flow of TensorFlow 1 \(Merge\)"):
        from_graph_def(graph.as_graph_def(), ["x"], [y.name])
