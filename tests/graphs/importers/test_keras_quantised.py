"""Quantised models of Keras 3 have the parameters and the multiply-adds of the models before quantisation."""

import keras
import pytest

from tests.graphs.isomorphism import equivalent
from tfnas.graphs.importers import from_file
from tfnas.graphs.importers.keras_graphs import from_keras


def small_model():
    layers, inputs = keras.layers, keras.Input((8, 8, 3))
    hidden = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    hidden = layers.EinsumDense("ab,bc->ac", output_shape=16, bias_axes="c")(hidden)
    return keras.Model(inputs, layers.Dense(3)(layers.ReLU()(hidden)))


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_in_memory_and_in_files(mode, tmp_path):
    model = small_model()
    graph, parameters = from_keras(model), model.count_params()
    model.quantize(mode)
    model.save(tmp_path / "model.keras")
    for quantised in (from_keras(model), from_file(tmp_path / "model.keras")):
        assert equivalent(quantised, graph)
        assert quantised.total_parameters == parameters
        assert quantised.multiply_adds.tolist() == graph.multiply_adds.tolist()
        assert quantised.multiply_adds.sum() == 36 * 4 * 27 + 4 * 16 + 16 * 3
        assert not quantised.notes


def test_embeddings():
    inputs = keras.Input((6,), dtype="int32")
    model = keras.Model(inputs, keras.layers.Embedding(20, 8)(inputs))
    model.quantize("int8")
    assert from_keras(model).parameters.tolist() == [0, 160, 0]


def test_exported_models(tmp_path):
    """A SavedModel holds the integer kernels, and scales beside them."""
    model = small_model()
    parameters = model.count_params()
    model.quantize("int8")
    model.export(tmp_path / "exported", verbose=False)
    graph = from_file(tmp_path / "exported")
    assert graph.counts()["matmul"] == 2
    assert graph.multiply_adds.sum() == 36 * 4 * 27 + 4 * 16 + 16 * 3
    assert graph.total_parameters == parameters + 16 + 3
