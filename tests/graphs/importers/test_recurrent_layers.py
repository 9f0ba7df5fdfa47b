"""Recurrent layers of both generations of Keras; parameters as Keras counts them, multiply-adds by hand."""

import keras
import pytest
import tf_keras

from tfnas.graphs.importers import from_file
from tfnas.graphs.importers.keras_graphs import from_keras

STEPS, INPUTS, UNITS = 7, 4, 5
SIZES = {"lstm": 4, "gru": 3, "rnn": 1}
PRODUCTS = {kind: gates * (INPUTS + UNITS) * UNITS * STEPS for kind, gates in SIZES.items()}


@pytest.fixture(params=[keras, tf_keras], ids=["keras", "tf_keras"])
def library(request):
    """Keras 3 and tf_keras in turn."""
    return request.param


def of_layer(library, build, shape=(STEPS, INPUTS)):
    """The model of a single layer."""
    inputs = library.Input(shape)
    return library.Model(inputs, build(library.layers)(inputs))


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (lambda layers: layers.LSTM(UNITS), "lstm"),
        (lambda layers: layers.LSTM(UNITS, return_sequences=True, activation="relu"), "lstm"),
        (lambda layers: layers.GRU(UNITS), "gru"),
        (lambda layers: layers.GRU(UNITS, reset_after=False, go_backwards=True), "gru"),
        (lambda layers: layers.SimpleRNN(UNITS), "rnn"),
        (lambda layers: layers.RNN(layers.GRUCell(UNITS), return_sequences=True), "gru"),
    ],
)
def test_a_layer_is_one_operator(library, build, kind):
    model = of_layer(library, build)
    graph = from_keras(model)
    assert graph.operator_names == ["input", kind, "output"]
    assert graph.shapes[1].tolist() == [STEPS, STEPS, 1, 1, INPUTS, UNITS]
    assert graph.shapes[2].tolist()[-1] == UNITS
    assert graph.parameters.tolist() == [0, model.count_params(), 0]
    assert graph.multiply_adds.tolist() == [0, PRODUCTS[kind], 0]
    assert model.layers[-1].name in graph.layers[1]
    assert not graph.notes


def test_both_directions(library):
    model = of_layer(library, lambda layers: layers.Bidirectional(layers.GRU(UNITS, return_sequences=True)))
    graph = from_keras(model)
    assert graph.operator_names == ["input", "gru", "gru", "concat", "output"]
    assert graph.multiply_adds.tolist() == [0, PRODUCTS["gru"], PRODUCTS["gru"], 0, 0]
    assert graph.shapes[3].tolist() == [STEPS, STEPS, 1, 1, UNITS, 2 * UNITS]
    assert graph.total_parameters == model.count_params()


@pytest.mark.parametrize(
    ("shape", "build", "products"),
    [
        # 6 positions of 4 gates x 4 filters over 3 x (3 + 0) inputs, and 3 x 4 states of the same positions
        ((5, 8, 3), lambda layers: layers.ConvLSTM1D(4, 3), 5 * 6 * 16 * 3 * (3 + 4)),
        ((5, 8, 8, 3), lambda layers: layers.ConvLSTM2D(4, 3, padding="same"), 5 * 64 * 16 * 9 * (3 + 4)),
    ],
)
def test_convolutions(library, shape, build, products):
    model = of_layer(library, build, shape)
    graph = from_keras(model)
    assert graph.operator_names == ["input", "lstm", "output"]
    assert graph.multiply_adds.sum() == products
    assert graph.total_parameters == model.count_params()


@pytest.mark.parametrize(("second", "kind"), [("LSTMCell", "lstm"), ("GRUCell", "rnn")])
def test_cells_in_a_stack(library, second, kind):
    """Cells of one kind keep the kind; cells of two kinds are a recurrent operator of no special kind."""
    model = of_layer(library, lambda layers: layers.RNN([layers.LSTMCell(UNITS), getattr(layers, second)(UNITS)]))
    graph = from_keras(model)
    assert graph.operator_names == ["input", kind, "output"]
    assert graph.total_parameters == model.count_params()


def test_masks_and_states(library):
    """A masked encoder whose states start a decoder."""
    layers = library.layers
    words, inputs = library.Input((6,), dtype="int32"), library.Input((STEPS, INPUTS))
    embedded = layers.Embedding(10, INPUTS, mask_zero=True)(words)
    _, *states = layers.LSTM(UNITS, return_state=True)(embedded)
    model = library.Model([words, inputs], layers.LSTM(UNITS)(inputs, initial_state=states))
    graph = from_keras(model)
    assert graph.counts() == {"input": 2, "embedding": 1, "lstm": 2, "output": 1}
    assert graph.multiply_adds.sum() == PRODUCTS["lstm"] // STEPS * (6 + STEPS)
    assert graph.total_parameters == model.count_params()


def test_a_fixed_batch_counts_one_input(library):
    model = of_layer(library, lambda layers: layers.LSTM(UNITS))
    assert from_keras(model, input_shapes=(8, STEPS, INPUTS)).multiply_adds.sum() == PRODUCTS["lstm"]


def test_steps_of_a_wrapped_layer(library):
    model = of_layer(library, lambda layers: layers.TimeDistributed(layers.Dense(3)))
    graph = from_keras(model)
    assert graph.total_parameters == model.count_params()
    assert graph.multiply_adds.sum() == STEPS * INPUTS * 3


def test_files(library, tmp_path):
    """A `.keras` file and a SavedModel of an open number of steps."""
    model = of_layer(library, lambda layers: layers.LSTM(UNITS), (None, INPUTS))
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "exported")
    for name in ("model.keras", "exported"):
        graph = from_file(tmp_path / name, input_shape=(1, STEPS, INPUTS))
        assert graph.operator_names == ["input", "lstm", "output"], name
        assert graph.parameters.tolist() == [0, model.count_params(), 0]
        assert graph.multiply_adds.tolist() == [0, PRODUCTS["lstm"], 0]
