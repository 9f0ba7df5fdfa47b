"""Names of shipped models and folders of models."""

import importlib
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from tests.fork import ROOT
from tfnas import saved_models
from tfnas.errors import ConfigurationError
from tfnas.graphs import importers


def test_a_name_is_a_shipped_model_and_a_path_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cg_encoder").mkdir()
    assert saved_models.folder("cg_encoder") == ROOT / "saved_models" / "cg_encoder"
    assert saved_models.folder("./cg_encoder").samefile(tmp_path / "cg_encoder")
    assert saved_models.folder("~/cg_encoder") == tmp_path / "cg_encoder"
    assert saved_models.model_path("cg_encoder") == saved_models.folder("cg_encoder")
    assert saved_models.model_path("~/mine.onnx") == tmp_path / "mine.onnx"
    assert saved_models.folder(pathlib.Path(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["cg_encodr", "/nothing", "~/nothing", ""])
def test_what_is_neither_ends_in_one_line_that_lists_the_shipped_models(name):
    names = sorted(path.name for path in (ROOT / "saved_models").iterdir())
    message = f"{name!r}: neither an existing folder nor the name of a shipped model ({', '.join(names)})"
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}$"):
        saved_models.folder(name)


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_classifier_is_the_same_function_in_plain_tensorflow(library, tmp_path):
    keras = importlib.import_module(library)
    layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.GlobalAveragePooling2D()]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(3)])
    images = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32)
    saved_models.save_classifier(model, tmp_path / "classifier", (8, 8, 1))
    logits = tf.saved_model.load(str(tmp_path / "classifier")).signatures["serving_default"](images=images)["logits"]
    np.testing.assert_allclose(logits, model(images), atol=1e-6)
    graph = importers.import_model(tmp_path / "classifier")
    assert graph.total_parameters == model.count_params() == 3 * 3 * 4 + 4 + 4 * 4 + 4 * 3 + 3
