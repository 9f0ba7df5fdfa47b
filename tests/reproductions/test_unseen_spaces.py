"""The experiment without labels of a space, its labelled networks, and the trainings that label them."""

import json

import numpy as np
import pytest

from reproductions.predictor import chains, published, trained_spaces, unseen_spaces
from reproductions.predictor.settings import Settings
from tfnas.graphs.computation_graph import smallest_graph
from tfnas.graphs.form_numbers import FORM_NUMBERS, form_numbers
from tfnas.graphs.importers import import_model
from tfnas.graphs.packed import pack
from tfnas.predictors import prior

SETTINGS = Settings(trained_networks=2)


def made_up(weights, noise, seed, count=400):
    """A space whose labels are a weighted sum of random numbers, and noise."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, len(FORM_NUMBERS)))
    total = prior.weighted(numbers, weights).sum(axis=1)
    labels = np.sqrt(1 - noise**2) * total + noise * rng.normal(size=count)
    return unseen_spaces.Space(numbers, labels)


def test_shipped_networks():
    """The file holds what the code makes: a chain and a published network are rebuilt, with all their numbers."""
    packed = trained_spaces.load()
    assert packed.families == (*chains.SPACES, published.FAMILY)
    counts = np.bincount(packed.family)
    assert counts[:2].tolist() == [Settings().trained_networks] * 2
    assert counts[2] == len(published.TOP_1)
    assert ((packed.labels > 0.3) & (packed.labels < 0.9)).all()
    np.testing.assert_allclose(packed.labels[packed.family == 2], list(published.TOP_1.values()), rtol=1e-6)
    for space, family in enumerate(chains.SPACES):
        model = chains.build(chains.sample(family, np.random.default_rng([1, space, 1])))
        row = np.flatnonzero(packed.family == space)[1]
        np.testing.assert_allclose(form_numbers(packed[[row]]), form_numbers(pack([import_model(model)])), rtol=1e-6)


@pytest.mark.slow
def test_published_networks_are_rebuilt():
    packed = trained_spaces.load()
    rebuilt = pack(published.graphs())
    np.testing.assert_allclose(form_numbers(packed[packed.family == 2]), form_numbers(rebuilt), rtol=1e-6)


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """Made-up images whose brightness is their class."""
    monkeypatch.setenv("TFNAS_DATA_DIR", str(tmp_path))
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 10
    images = (25 * labels[:, None, None, None] + rng.integers(0, 9, (200, 32, 32, 3))).astype(np.uint8)
    path = tmp_path / "cifar10_subset.npz"
    np.savez(path, x_train=images[:160], y_train=labels[:160], x_test=images[160:], y_test=labels[160:])
    return path


def test_photographs(photographs):
    """A pixel is the mean of four; every channel of the training images has mean 0 and deviation 1."""
    (images, labels), (test, classes) = chains.photographs(photographs)
    assert images.shape == (160, 16, 16, 3)
    assert len(labels) == 160
    assert len(test) == len(classes) == 40
    np.testing.assert_allclose(images.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(images.std(axis=(0, 1, 2)), 1, atol=1e-4)
    raw = np.load(photographs)["x_train"]
    means, pixels = raw[3, :2, :2].mean(axis=(0, 1)), raw.reshape(-1, 16, 2, 16, 2, 3).mean(axis=(2, 4))
    expected = (means - pixels.mean(axis=(0, 1, 2))) / pixels.std(axis=(0, 1, 2))
    np.testing.assert_allclose(images[3, 0, 0], expected, rtol=1e-4)


@pytest.mark.parametrize("space", chains.SPACES)
def test_training_learns(photographs, space):
    """Ten classes of brightness are learned better than by chance, and the same with the same seed."""
    import tf_keras

    (images, labels), test = chains.photographs(photographs)
    accuracies = []
    for _ in range(2):
        tf_keras.utils.set_random_seed(1)
        model = chains.build([chains.Block("plain" if space == "chains" else "mobile", 3, 1, 8, 2)])
        accuracies.append(chains.train(model, images, labels, test))
    assert accuracies[0] == accuracies[1] > 0.2


def test_trainings_are_not_repeated(photographs, tmp_path, monkeypatch):
    trained = []

    def train(model, images, labels, test):
        trained.append(model)
        return len(trained) / 10

    monkeypatch.setattr(chains, "train", train)
    graph = smallest_graph().replace(family=published.FAMILY, label=0.8)
    monkeypatch.setattr(published, "graphs", lambda: [graph])
    report = trained_spaces.run(tmp_path, SETTINGS)
    assert len(trained) == 4
    again = trained_spaces.run(tmp_path, SETTINGS)
    assert len(trained) == 4
    assert again.values["accuracies"] == report.values["accuracies"]
    packed = trained_spaces.load(tmp_path / "trained_spaces.npz")
    np.testing.assert_allclose(packed.labels, [0.1, 0.2, 0.3, 0.4, 0.8])
    assert packed.families == (*chains.SPACES, published.FAMILY)


def test_calibration():
    """Of a score that explains 64 % of the labels' variance: half of slope .8, and the interval of what remains."""
    slope, interval = unseen_spaces.calibrate([made_up(prior.WEIGHTS, 0.6, seed, 4000) for seed in range(3)])
    assert slope == pytest.approx(0.4, abs=0.02)
    half_width = np.sqrt(0.4**2 + 0.6**2) * 1.2816
    assert interval == pytest.approx((-half_width, half_width), abs=0.03)


def test_every_space_counts_the_same():
    """Of a large space and a small space: as many residuals of each."""
    quiet, loud = made_up(prior.WEIGHTS, 0.0, 0, 4000), made_up(prior.WEIGHTS, 1.0, 1, 400)
    slope, (_, high) = unseen_spaces.calibrate([quiet, loud])
    assert slope == pytest.approx(0.25, abs=0.03)
    above = [space.labels - slope * space.total(prior.WEIGHTS) for space in (quiet, loud)]
    assert high == pytest.approx(np.quantile(np.concatenate([np.repeat(above[1], 10), above[0]]), 0.9), abs=0.02)


def test_chosen_weights():
    weights = {"log_multiply_adds": 1.0, "narrowest_trunk": 1.0}
    assert unseen_spaces.choose([made_up(weights, 0.1, seed) for seed in range(2)]) == weights


def test_the_experiment(tmp_path, monkeypatch):
    """A benchmark that ships and the labelled networks; a resumed run writes the same."""
    monkeypatch.setattr(unseen_spaces, "BENCHMARKS", ("digits201",))
    monkeypatch.setattr(unseen_spaces, "NETWORKS", 60)
    (tmp_path / "parts").mkdir()
    report = unseen_spaces.run(tmp_path, SETTINGS)
    report.write(tmp_path, "unseen_spaces")
    values = json.loads((tmp_path / "unseen_spaces.json").read_text())
    assert set(values["correlations"]) == {"digits201", *chains.SPACES, published.FAMILY}
    for by_method in values["correlations"].values():
        assert set(by_method) == set(unseen_spaces.METHODS)
        assert all(-1 <= value <= 1 for value in by_method.values())
    assert all(0 <= share <= 1 for share in values["coverage"].values())
    assert values["networks"]["digits201"] == 60
    assert (tmp_path / "unseen_spaces.png").stat().st_size > 10_000
    assert unseen_spaces.run(tmp_path, SETTINGS).values["correlations"] == values["correlations"]
