"""The Jacobian experiments on made-up Jacobians: what they measure and write, and which cells they may see."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats

from reproductions import processes
from reproductions.correlations import kendall
from reproductions.jacobian import ablation, calibration, data, few_labels, maps, search, table1, transfer
from reproductions.jacobian.data import SpaceData, load
from reproductions.jacobian.settings import Settings
from reproductions.registry import PAPERS
from tfnas.benchmarks.table import write_table
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.program import describe
from tfnas.errors import ConfigurationError
from tfnas.search import Candidates
from tfnas.spaces import NASBench201, NATSSize

SETTINGS = Settings(images=6, initializations=2, labels=(20,), encoders=1, draws=1, runs=3, queries=25)
COUNT = 44


def made_up(space, cells):
    """Jacobians whose spectrum tells the accuracy."""
    rng = np.random.default_rng(0)
    accuracy = rng.uniform(0.5, 0.9, len(cells))
    found = [
        [describe(rng.normal(size=(6, 48)) * (0.1 + own ** np.arange(6))[:, None], (4, 4, 3), 6) for _ in range(2)]
        for own in accuracy
    ]

    def stack(name):
        return np.array([[getattr(one, name) for one in own] for own in found])

    corpus = JacobianCorpus(
        space=space,
        config=JacobianConfig(initializations=2, components=6),
        cells=cells,
        images=np.ones((6, 4, 4, 3), np.float32),
        directions=stack("directions").astype(np.float16),
        scales=stack("scales"),
        correlations=stack("correlations"),
        frequencies=stack("frequencies"),
        state=stack("state").astype(np.int8),
    )
    return SpaceData(corpus, {"CIFAR-10": accuracy}, 0)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Small data, no extraction, everything in this process; encoders are trained once for all experiments."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield small_experiment(monkeypatch, tmp_path_factory.mktemp("experiment"))


def small_experiment(monkeypatch, folder):
    spaces = {}
    for space in (NASBench201(), NATSSize()):
        rng = np.random.default_rng(1)
        cells = space.sample(COUNT, rng)
        if space.name == "nasbench201":
            cells = space.enumerate()[np.sort(rng.permutation(NASBench201().distinct_functions()[0])[:COUNT])]
        spaces[space.name] = made_up(space, cells)
    own = spaces["nasbench201"]
    (folder / "data").mkdir()
    write_table(
        folder / "data" / "nasbench201.npz",
        own.corpus.space,
        own.corpus.cells,
        {"cifar10_test_accuracy_200": own.accuracies["CIFAR-10"]},
    )
    monkeypatch.setenv("TFNAS_DATA_DIR", str(folder / "data"))
    monkeypatch.setattr(data, "load", lambda output_dir, settings, space: spaces[space])
    monkeypatch.setattr(data, "EPOCHS", {"paper": 2, "tfnas": 3})
    rng = np.random.default_rng(2)
    monkeypatch.setattr(data, "proxy_scores", lambda *_: {name: rng.normal(size=COUNT) for name in data.PROXIES})
    monkeypatch.setattr(processes, "run", lambda function, jobs, *_, **__: [function(job) for job in jobs])
    monkeypatch.setattr(processes, "quiet", lambda folder: folder.mkdir(parents=True, exist_ok=True))
    (folder / "out").mkdir()
    return folder / "out"


def test_table1_finds_what_the_spectra_tell(experiment):
    found = PAPERS["jacobian"].run("table1", experiment, SETTINGS).values
    tau = {name: np.mean(taus["CIFAR-10/20"]) for name, taus in found["tau"].items()}
    assert tau["log singular values"] > 0.7
    assert tau["snip"] < 0.3
    spaces = data.load(experiment, SETTINGS, "nasbench201")
    rows = table1.label_sets(20, COUNT, SETTINGS)[0]
    parameters = np.delete(data.sizes(spaces.corpus)["parameters"], rows)
    assert tau["parameters, no labels"] == kendall(parameters, np.delete(spaces.accuracies["CIFAR-10"], rows))
    text = (experiment / "table1.md").read_text()
    assert "contrastive, spectra (tfnas)" in text
    assert (experiment / "table1.png").stat().st_size
    assert json.loads((experiment / "table1.json").read_text())["cells"] == COUNT


def test_labels_are_the_same_for_all_methods():
    one, same = (table1.label_sets(10, COUNT, SETTINGS) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert len(one) == 1
    assert all(len(set(rows.tolist())) == 10 for rows in one)


def test_search_spends_what_it_says(experiment):
    values = search.run(experiment, SETTINGS).values
    for name, found in values.items():
        assert len(found["regret"]) == 25, name
        assert np.all(np.diff(found["regret"]) <= 1e-9)
    assert values["fitted process, log singular values"]["regret"][-1] <= values["random"]["regret"][-1] + 1e-9
    with np.load(experiment / "searches" / "random" / "history.npz") as history:
        assert history["rows"].shape == (3, 25)
        assert all(len(set(rows)) == 25 for rows in history["rows"].tolist())


@pytest.mark.slow
def test_transfer_covers_all_pairs(experiment, monkeypatch):
    monkeypatch.setattr(transfer, "_FORESTS", 1)
    values = transfer.run(experiment, SETTINGS).values
    assert set(values["log singular values"]) == {
        f"{a} -> {b}" for a in ("nats_size", "nasbench201") for b in ("nats_size", "nasbench201")
    }
    assert np.mean(values["log singular values"]["nats_size -> nasbench201"]) > 0.5
    assert np.mean(values["30 labels of the target: spectra"]["nasbench201 -> nats_size"]) > 0.5
    sizes = values["parameters, no labels"]
    assert sizes["nats_size -> nats_size"] == sizes["nasbench201 -> nats_size"]
    assert set(values["ridge: five channel numbers"]) == {"nats_size -> nats_size"}


def test_few_labels_sets_jacobians_beside_graphs(experiment, monkeypatch):
    monkeypatch.setattr(few_labels, "LABELS", 12)
    monkeypatch.setattr(few_labels, "_DRAWS", 1)
    monkeypatch.setattr(few_labels, "_MOST", 30)
    found = few_labels.run(experiment, SETTINGS)
    values = found.values
    for space in ("nats_size", "nasbench201"):
        assert values["Jacobians"][space][0] > 0.5
        assert values["learned with Jacobians"][space][0] > values["learned"][space][0]
    assert set(values["ridge: five channel numbers"]) == {"nats_size"}
    assert "30 architectures of nats_size and 30 architectures of nasbench201" in found.comparison[0]


def test_ridge_by_hand():
    labels = np.array([0.2, 0.9, 0.5])
    known = np.array([[-1.0], [1], [0]])
    highest = scipy.stats.norm.ppf(2.5 / 3)
    slope = 2 * highest / (2 + 3)
    np.testing.assert_allclose(calibration.ridge(known, labels, np.array([[2.0], [0]])), [2 * slope, 0], atol=1e-12)
    columns = calibration.beside_size(np.array([3.0, 10, 7]), np.array([[1.0], [-1], [0]]))
    np.testing.assert_allclose(columns[:, 0], [-np.sqrt(6), np.sqrt(6), 0])
    np.testing.assert_allclose(columns[:, 1], [0.5, -0.5, 0])


def test_components_follow_the_leading_direction():
    hidden = np.random.default_rng(0).normal(size=(50, 1))
    leading = calibration.components(np.concatenate([hidden, 3 * hidden, -hidden], axis=1))[:, 0]
    assert abs(np.corrcoef(leading, hidden[:, 0])[0, 1]) > 1 - 1e-9
    assert leading.std() == pytest.approx(1)


def test_spectra_without_size_tell_nothing_of_size():
    space = NATSSize()
    corpus = made_up(space, space.sample(20, 3)).corpus
    sizes = data.sizes(corpus)
    grown = dataclasses.replace(corpus, scales=corpus.scales * np.exp(sizes["parameters"])[:, None, None])
    left = data.log_spectra(calibration.without_size(grown), ("scales", "frequencies")).mean(axis=1)
    assert np.abs((sizes["parameters"] - sizes["parameters"].mean()) @ left).max() < 1e-3
    np.testing.assert_allclose(
        left, data.log_spectra(calibration.without_size(corpus), ("scales", "frequencies")).mean(axis=1), atol=1e-3
    )


def test_channels_are_the_widths():
    space = NATSSize()
    corpus = dataclasses.replace(made_up(space, space.from_strings(["8:16:8:64:8", "8:32:8:16:8"])).corpus)
    np.testing.assert_allclose(calibration.channels(corpus), [[0, -1, 0, 1, 0], [0, 1, 0, -1, 0]], atol=1e-9)


def test_the_largest_come_first():
    space = NASBench201()
    strategy = search.LargestFirst(Candidates(space, space.sample(4, 0)), [1, 2, 3, 4, 5, 6], np.array([2.0, 5, 2, 9]))
    rows = np.concatenate([strategy.suggest(3), strategy.suggest(5)], axis=1)
    np.testing.assert_array_equal(rows[:, :2], [[3, 1]] * 6)
    assert {tuple(row) for row in rows[:, 2:].tolist()} == {(0, 2), (2, 0)}


def test_maps(experiment, monkeypatch):
    monkeypatch.setattr(maps, "_SHOWN", 40)
    values = maps.run(experiment, SETTINGS).values
    assert (
        set(values["embedding"])
        == set(values["map"])
        == {
            "raw projections",
            "untrained encoder (published)",
            "contrastive, published",
            "contrastive, spectra (tfnas)",
        }
    )
    assert (experiment / "maps.png").stat().st_size


def test_experiments_see_no_cell_that_settings_were_chosen_on():
    numbers, _ = NASBench201().distinct_functions()
    known = np.random.default_rng(12345).permutation(numbers)[:800]
    cells = data._architectures("nasbench201", 2000, 1)
    space = NASBench201()
    hashes = space.functional_hashes(cells)
    assert len(set(hashes.tolist())) == 2000
    assert not np.isin(hashes, space.functional_hashes(space.enumerate()[known])).any()


def test_pairs_compute_one_function():
    cells, pairs = ablation._encodings(1)
    hashes = NASBench201().functional_hashes(cells)[pairs]
    assert (hashes[:, 0] == hashes[:, 1]).all()
    assert len(np.unique(hashes[:, 0])) == len(pairs) == 100
    strings = [NASBench201().to_string(NASBench201().architecture(cells, row)) for row in range(len(cells))]
    assert len(set(strings)) == 200


def test_distances_by_hand():
    embeddings = np.array([[[0.0], [1]], [[2], [4]], [[10], [10]], [[10], [10]], [[np.nan], [1]], [[0], [0]]])
    found = ablation._distances(embeddings, np.arange(6).reshape(3, 2))
    assert found == {
        "one cell, two initialisations": 0.5,
        "two cells of one function": 2.0,
        "two cells of two functions": 9.5,
    }


def test_jacobians_are_extracted_once_and_checked(monkeypatch, tmp_path):
    settings = Settings(images=4, initializations=2, widths=5)
    space = NATSSize()
    cells = data._architectures("nats_size", 5, 1)
    write_table(tmp_path / "nats_size.npz", space, cells, {"cifar10_test_accuracy": np.linspace(0.5, 0.9, 5)})
    images = np.random.default_rng(0).integers(0, 255, (140, 8, 8, 3)).astype(np.uint8)
    labels = np.arange(140) % 10
    np.savez(tmp_path / "cifar10_subset.npz", x_train=images, y_train=labels, x_test=images[:40], y_test=labels[:40])
    monkeypatch.setenv("TFNAS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(data, "one_device_per_core", lambda: None)
    calls = []

    def run(function, jobs, *_, **__):
        calls.append(function)
        return [function(job) for job in jobs]

    monkeypatch.setattr(processes, "run", run)
    found = load(tmp_path, settings, "nats_size")
    again = load(tmp_path, settings, "nats_size")
    assert len(calls) == 1
    np.testing.assert_allclose(again.accuracies["CIFAR-10"], np.linspace(0.5, 0.9, 5))
    np.testing.assert_array_equal(again.corpus.scales, found.corpus.scales)
    for change, name in (({"seed": 2}, "seed"), ({"widths": 4}, "architectures"), ({"images": 5}, "configuration")):
        with pytest.raises(ConfigurationError, match=f"another {name}"):
            load(tmp_path, dataclasses.replace(settings, **change), "nats_size")
