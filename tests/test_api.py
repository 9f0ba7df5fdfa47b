"""The front door: names, models in any form, and what is said when a name is wrong."""

import importlib
import pkgutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
import tensorflow as tf

import tfnas
from tests.fork import ROOT
from tests.graphs.importers.test_formats import small_keras_model
from tfnas import artefacts
from tfnas.encoders import ENCODERS
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.saved_models import SHIPPED, shipped_names
from tfnas.spaces import Architecture


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The same network as a Keras 3 model, its file, a tf.function, an ONNX file and proto, and a graph."""
    import keras

    folder = tmp_path_factory.mktemp("models")
    model = small_keras_model(keras)
    model.save(folder / "small.keras")
    model(np.zeros((1, 8, 8, 3), np.float32))  # the export wants a model that was called
    model.export(folder / "small.onnx", format="onnx", verbose=False)
    signature = [tf.TensorSpec((None, 8, 8, 3), tf.float32)]
    return {
        "model": model,
        "path": folder / "small.keras",
        "text": str(folder / "small.keras"),
        "function": tf.function(lambda images: model(images), input_signature=signature, autograph=False),
        "onnx file": folder / "small.onnx",
        "onnx proto": onnx.load(folder / "small.onnx"),
        "graph": tfnas.import_model(model),
    }


def test_every_shipped_model_opens_by_its_name():
    for name in shipped_names():
        model = tfnas.load(name)
        assert any(hasattr(model, method) for method in ("embed", "predict", "relatives")), name
        assert type(tfnas.load(SHIPPED / name)) is type(model)


def test_a_model_goes_in_whatever_its_form(models):
    """The forms of a network have one embedding, one prediction and the same relatives."""
    encoder, predictor, index = (tfnas.load(name) for name in ("cg_encoder", "cg_predictor", "architecture_index"))
    for forms in (("graph", "model", "path", "text", "function"), ("onnx file", "onnx proto")):
        vectors = encoder.embed([models[form] for form in forms])
        np.testing.assert_allclose(vectors, np.tile(encoder.embed(models[forms[0]]), (len(forms), 1)), atol=1e-5)
        scores = [predictor.predict(models[form]).score for form in forms]
        np.testing.assert_allclose(scores, scores[0], atol=1e-5)
        names = [[relative.name for relative in index.relatives(models[form], count=3)] for form in forms]
        assert names == names[:1] * len(forms)
        assert len(names[0]) == 3


def test_cells_are_embedded_in_any_form():
    space, encoder = tfnas.space("nasbench101"), tfnas.load("arch2vec_nasbench101")
    cell = Architecture(("input", "conv3x3-bn-relu", "output"), [[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    vectors = encoder.embed(space.to_table([cell, cell]))
    np.testing.assert_array_equal(encoder.embed([cell, cell]), vectors)
    np.testing.assert_allclose(encoder.embed(cell), vectors[:1], atol=1e-6)
    strange = Architecture(("input", "conv9x9", "output"), cell.adjacency)
    with pytest.raises(InvalidArchitectureError, match="not a nasbench101 architecture: vertex 1 is 'conv9x9'"):
        encoder.embed([cell, strange])


def test_answers_print_as_tables(models):
    assert "nearest family" in str(tfnas.load("cg_predictor").predict(models["graph"]))
    answer = tfnas.load("architecture_index").relatives("timm/resnet50", count=2)
    assert "| architecture" in str(answer)
    assert answer[0].similarity >= answer[1].similarity


def test_answers_say_what_was_assumed():
    """A model that leaves its shape open is read as the assumed or the given shape says."""
    import keras

    inputs = keras.Input((None, None, 3), name="images")
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(pooled))
    predictor, index = tfnas.load("cg_predictor"), tfnas.load("architecture_index")
    for ask in (predictor.predict, index.relatives):
        assumed, given = ask(model), ask(model, input_shape=(1, 8, 8, 3))
        assert assumed.notes == ("open shapes of inputs were assumed: images [1, 224, 224, 3]",)
        assert str(assumed).endswith(f"\n\nnote: {assumed.notes[0]}")
        assert (given.notes, "note:" in str(given)) == ((), False)
    with pytest.raises(InvalidArchitectureError, match=r"strict \(--strict\) refuses"):
        predictor.predict(model, strict=True)


def test_a_function_is_a_benchmark():
    space = tfnas.space("nats_size")

    def narrow(architecture):
        return 1 / len(architecture.operations)

    benchmark = tfnas.benchmark(narrow, space=space)
    assert benchmark.name == "narrow"
    architecture = space.architecture(space.sample(1, seed=0), 0)
    assert benchmark.query([architecture])[0].validation == 1 / len(architecture.operations)
    assert tfnas.benchmark(narrow, space="nats_size").space.name == "nats_size"
    with pytest.raises(ConfigurationError, match="goes with its space"):
        tfnas.benchmark(narrow)


def test_wrong_names_are_answered_in_one_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"neither an existing folder .* \(arch2vec_darts, "):
        tfnas.load("arch2vec")
    with pytest.raises(ConfigurationError, match="unknown space 'nb201', expected one of nasbench101"):
        tfnas.space("nb201")
    with pytest.raises(ConfigurationError, match="unknown benchmark 'imagenet', expected one of digits"):
        tfnas.benchmark("imagenet")
    artefacts.write_manifest(tmp_path, kind="table")
    kinds = ", ".join(row.kind for row in ENCODERS.values())
    with pytest.raises(CorruptArtefactError, match=f"found 'table', expected one of {kinds}"):
        tfnas.load(tmp_path)
    with pytest.raises(AttributeError, match="has no attribute 'retrieve'"):
        tfnas.retrieve  # noqa: B018


def test_names_and_packages_show_what_they_hold():
    """`dir` and `__all__` agree, every name is there, and a star import brings it."""
    assert {"load", "space", "benchmark", "import_model", "search"} <= set(dir(tfnas))
    packages = [module.name for module in pkgutil.iter_modules(tfnas.__path__) if module.ispkg]
    for package in packages:
        module = importlib.import_module(f"tfnas.{package}")
        assert module.__all__, package
        for name in module.__all__:
            assert getattr(module, name) is not None
            assert name in dir(module)


def test_the_front_door_is_light():
    """Listing and drawing from spaces and reading tables needs no TensorFlow."""
    program = (
        "import sys, tfnas; tfnas.benchmark('digits201').query([]); tfnas.space('darts').sample(2, seed=0); "
        "[getattr(tfnas, name).__all__ for name in ('retrieval', 'proxies', 'serving', 'predictors', 'graphs')]; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
