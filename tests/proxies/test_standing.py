"""Percentiles of models among shipped cells, and models that preprocess their images."""

import keras
import numpy as np
import pytest
import tf_keras

from tfnas.benchmarks.trained.images import batch_of_images, load_images
from tfnas.errors import ConfigurationError
from tfnas.proxies import PROXIES, experiment, standing


def save(library, path, *first, dtype="float32", size=32):
    layers = library.layers
    inputs = library.Input((size, size, 3), dtype=dtype)
    x = inputs
    for layer in first:
        x = layer(x)
    x = layers.ReLU()(layers.Conv2D(4, 3, strides=4)(x))
    library.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))).save(path)
    return path


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    np.savez(path, images=rng.integers(0, 256, (120, 32, 32, 3)).astype(np.uint8), labels=np.arange(120) % 3)
    return path


def scored(data, tmp_path, *models, raw=None, size=64):
    paths = tuple(map(str, models))
    settings = experiment.Settings(None, 1, None, False, paths, str(data), size, ("grad_norm", "synflow"), 1, raw)
    text = experiment.run(settings, batch_of_images(data, size, 1, raw=bool(raw)), tmp_path)
    return text, experiment.artefacts.read_json(tmp_path / "summary.json")["models"]


def test_percentiles_by_hand():
    cells = standing.cell_scores()
    assert set(cells) == {*PROXIES, *standing.SIZES}
    assert len(cells["synflow"]) >= 100
    assert 30 < cells["synflow"].min() < cells["synflow"].max() < 120  # one unit, the natural logarithm
    middle = float(np.median(cells["jacov"]))
    found = standing.percentiles({"jacov": middle, "snip": float("nan"), "fisher": -1.0, "parameters": 1e9})
    assert found["jacov"] == pytest.approx(50, abs=1)
    assert np.isnan(found["snip"])
    assert (found["fisher"], found["parameters"]) == (0, 100)


@pytest.mark.parametrize("library", [tf_keras, keras], ids=["keras2", "keras3"])
def test_models_that_preprocess_get_raw_pixels_or_are_refused(library, data, tmp_path):
    """Whoever standardises by a layer has the scores of a model that gets standardised images."""
    images = load_images(data)
    mean, deviation = np.array(images.pixel_mean), np.array(images.pixel_deviation)
    plain = save(library, tmp_path / "plain.keras", library.layers.Activation("linear"))  # draws go by a layer's place
    inside = library.layers.Normalization(mean=mean, variance=deviation**2)
    normal = save(library, tmp_path / "normal.keras", inside)
    whole = save(library, tmp_path / "whole.keras", library.layers.Rescaling(1 / 255), dtype="uint8")
    for model, kind in ((normal, "Normalization"), (whole, "Rescaling")):
        with pytest.raises(ConfigurationError, match=f"{model.name}: the model preprocesses.*{kind}.*--raw_pixels"):
            scored(data, tmp_path, model)
    _, [expected] = scored(data, tmp_path, plain)
    _, [found] = scored(data, tmp_path, normal, raw=True)
    _, [other] = scored(data, tmp_path, normal, raw=False)
    for name in ("grad_norm", "synflow"):
        assert found["values"][name] == pytest.approx(expected["values"][name], rel=1e-3)
    assert abs(other["values"]["grad_norm"] / expected["values"]["grad_norm"] - 1) > 0.1
    _, [found] = scored(data, tmp_path, whole, raw=True)
    assert np.isfinite(found["values"]["grad_norm"])
    assert found["values"]["synflow"] == pytest.approx(expected["values"]["synflow"], rel=1e-6)


def test_a_folder_is_a_sorted_table_and_another_batch_has_no_percentile(data, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    save(keras, folder / "a.keras")
    deep = [keras.layers.Conv2D(32, 3, padding="same") for _ in range(24)]  # a synflow above that of some cells
    save(keras, folder / "b.keras", *deep)
    text, records = scored(data, tmp_path, folder)
    assert {record["model"][-7:] for record in records} == {"b.keras", "a.keras"}
    first, second = (np.mean([record["percentiles"][name] for name in ("grad_norm", "synflow")]) for record in records)
    assert first > second
    assert text.index(records[0]["model"]) < text.index(records[1]["model"])
    assert set(records[0]["percentiles"]) == {"grad_norm", "synflow", *standing.SIZES}
    assert "Percentile among" in text
    text, records = scored(data, tmp_path, folder, size=8)
    assert "No percentile: 8 images" in text
    assert records[0]["percentiles"] == {}


def test_a_score_that_is_not_finite_ranks_below_all():
    mean = experiment._mean_percentile
    assert mean({"synflow": 99.0, "snip": np.nan, "grasp": np.nan, "parameters": 99.0}) == 33.0
    assert mean({"synflow": 50.0, "snip": 40.0, "grasp": 30.0}) == 40.0
    assert mean({}) < mean({"synflow": np.nan})
