"""The best architecture of a search as a model: trained as by hand, saved whole or not at all, opened without tfnas."""

import dataclasses
import json
import math
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.networks.test_functional import assert_equal_logits, built_by
from tfnas.benchmarks import BENCHMARKS
from tfnas.benchmarks.trained.darts import DartsEvaluator
from tfnas.benchmarks.trained.darts_config import query
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.networks.darts import DartsSkeleton
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton
from tfnas.networks.registry import NETWORKS, Network
from tfnas.search import winner
from tfnas.search.comparison import Best
from tfnas.spaces import Darts, NASBench201

SPACE = NASBench201()
CELL = SPACE.from_string("|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|")
SKELETON = Skeleton(num_classes=3, channels=4, cells_per_stage=1, stages=2)
CONFIG = TrainedConfig(epochs=3, batch_size=16)


@pytest.fixture(scope="module")
def pixels():
    """Raw pixels of three classes that differ in brightness, and their labels."""
    labels = np.arange(90) % 3
    noise = np.random.default_rng(0).integers(0, 160, (90, 8, 8, 3))
    return (noise + 40 * labels[:, None, None, None]).astype(np.uint8), labels


@pytest.fixture(scope="module")
def evaluator(pixels):
    data = dataclasses.replace(ImageData.split(*pixels), class_names=("dark", "grey", "light"))
    return TrainedEvaluator(SPACE, lambda cell, *_: NASBench201Network(SKELETON, cell), data, CONFIG)


@pytest.fixture(scope="module")
def trained(evaluator):
    best = Best(SPACE, CELL, 0.8, 0.8, 0.7, 1.0, "random", 1)
    return best.train(evaluator)


def test_is_the_network_that_learns_from_all_images(evaluator, trained):
    """The same training put together by hand, on standardised pixels."""
    data = evaluator.data
    together = tuple(np.concatenate(arrays) for arrays in zip(data.train, data.validation, strict=True))
    by_hand = TrainedEvaluator(SPACE, evaluator._build, dataclasses.replace(data, train=together), CONFIG)
    network, score = by_hand.train(CELL)
    images, _ = data.test
    raw = images * np.float32(data.pixel_deviation) + np.float32(data.pixel_mean)
    assert_equal_logits(trained.model(raw), network(images))
    again = winner.train(SPACE, CELL, evaluator).model  # whatever was trained before, to the last bit
    assert all(map(np.array_equal, again.get_weights(), trained.model.get_weights()))
    assert trained.test_accuracy == trained.test_score == pytest.approx(score.test)
    assert trained.test_deviation == pytest.approx(math.sqrt(score.test * (1 - score.test) / 18))
    assert trained.summary["train_images"] == 72
    assert trained.summary["epochs"] == 3
    assert trained.summary["searched"] == {"validation": 0.8, "test": 0.7}


def test_saved_model_file_and_code_agree(trained, pixels, tmp_path):
    folder = tmp_path / "best_model"
    trained.save(folder)
    raw = pixels[0][:5].astype(np.float32)
    expected = trained.model(raw)
    model = keras.saving.load_model(folder / "model.keras")
    assert_equal_logits(model(raw), expected)
    assert_equal_logits(model.predict(pixels[0][:5], verbose=0), expected)  # pixels as they lie in the file
    signature = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    assert_equal_logits(signature(images=tf.constant(raw))["logits"], expected)
    source = (folder / "build_model.py").read_text()
    assert "tfnas" not in source
    assert max(map(len, source.splitlines())) <= 120
    twin = built_by(source)
    twin.load_weights(folder / "model.keras")
    assert_equal_logits(twin(raw), expected)
    summary = json.loads((folder / "summary.json").read_text())
    with zipfile.ZipFile(folder / "model.keras") as archive:
        assert summary == trained.summary == json.loads(archive.read("metadata.json"))["tfnas"]
    assert summary["class_names"] == ["dark", "grey", "light"]
    assert (summary["inputs"], summary["outputs"], summary["image_shape"]) == ("raw pixels", "logits", [8, 8, 3])
    assert SPACE.from_string((folder / "architecture.txt").read_text().strip()) == CELL
    assert (folder / "cell.png").read_bytes().startswith(b"\x89PNG")


def test_whole_or_not_at_all(evaluator, trained, tmp_path, monkeypatch):
    """A folder appears when it is complete; a model that is there is trained again for other epochs alone."""
    folder = tmp_path / "best_model"
    trainings = []

    def train(*arguments):
        trainings.append(1)
        epochs = arguments[3]
        return dataclasses.replace(trained, epochs=epochs, metric="balanced_accuracy", test_score=0.25)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(winner, "train", train)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(winner, "python_source", stop)
        with pytest.raises(KeyboardInterrupt):
            winner.hand_over(SPACE, CELL, evaluator, folder, 1)
    assert not list(tmp_path.iterdir())
    text = winner.hand_over(SPACE, CELL, evaluator, folder, 1)
    assert "trained for 1 epochs on all 72 images" in text
    assert "of 18 test images right, balanced accuracy 25.0 %." in text
    assert f"tfnas predict --model={folder}/model.keras" in text
    assert winner.hand_over(SPACE, CELL, evaluator, folder, 1) == text
    assert len(trainings) == 2
    assert "trained for 2 epochs" in winner.hand_over(SPACE, CELL, evaluator, folder, 2)
    assert len(trainings) == 3
    assert json.loads((folder / "summary.json").read_text())["epochs"] == 2
    assert winner.hand_over(SPACE, CELL, evaluator, tmp_path / "none", 0) == ""
    assert not (tmp_path / "none").exists()


def test_other_benchmarks(tmp_path, rng):
    """Digits lend their network, images and settings, DARTS cells are trained, and a table has no networks."""
    digits = BENCHMARKS["digits"].evaluator()
    winner.check(digits, None)
    trainer = digits.trainer()
    assert (trainer.config.epochs, trainer.config.batch_size) == (12, 40)
    assert trainer._build(CELL, (8, 8, 1), 10).classifier.units == 10
    assert [len(labels) for _, labels in (trainer.data.train, trainer.data.validation)] == [200, 798]
    table = BENCHMARKS["digits201"].evaluator()
    winner.check(table, None)
    winner.check(table, 0)
    assert winner.hand_over(SPACE, CELL, table, tmp_path / "none") == ""
    with pytest.raises(ConfigurationError, match="the benchmark digits201 trains no networks"):
        winner.check(table, 5)
    data = ImageData.split(rng.normal(size=(40, 8, 8, 1)).astype(np.float32), np.arange(40) % 2)
    darts = DartsEvaluator(data, DartsSkeleton(channels=2, layers=3, auxiliary=False), query(20))
    cell = Darts().architecture(Darts().sample(1, rng), 0)
    trained = winner.train(Darts(), cell, darts, epochs=1)
    assert trained.model.output_shape == (None, 2)
    assert trained.summary["train_images"] == 32
    with pytest.raises(MismatchError, match="scores darts, the candidates are of nasbench201"):
        winner.train(SPACE, CELL, darts)


def test_images_alone_are_trained_in_the_network_of_the_space(evaluator, monkeypatch):
    """A network of one's own, of standard layers of tf_keras."""

    def build(architecture, image_shape, num_classes):
        layers = [tf_keras.layers.Flatten(), tf_keras.layers.Dense(num_classes)]
        return tf_keras.Sequential([tf_keras.Input(image_shape), *layers])

    monkeypatch.setitem(NETWORKS, SPACE.name, Network(build))
    trained = winner.train(SPACE, CELL, evaluator.data)
    assert [type(layer).__name__ for layer in trained.model.layers] == [
        "InputLayer",
        "Normalization",
        "Flatten",
        "Dense",
    ]
    assert trained.epochs == TrainedConfig().epochs
    assert trained.test_accuracy > 0.5


def test_mistakes(evaluator, monkeypatch):
    with pytest.raises(ConfigurationError, match="epochs=-1, expected at least 1"):
        winner.train(SPACE, CELL, evaluator, epochs=-1)
    hopeless = TrainedEvaluator(
        SPACE, evaluator._build, evaluator.data, TrainedConfig(epochs=1, learning_rate=float("nan"))
    )
    with pytest.raises(ConfigurationError, match=r"the final training of \|nor_conv_3x3~0\|.* failed: the loss is nan"):
        winner.train(SPACE, CELL, hopeless)
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ConfigurationError, match="KERAS_BACKEND=torch, expected tensorflow"):
        winner.check(evaluator, None)
