"""The paper's experiments on small made-up tables: what is measured, at what budget, and what is written."""

import functools
import json

import numpy as np
import pytest

from reproductions import processes
from reproductions.arch2vec import (
    figure2,
    figure3,
    figure4,
    figure5,
    mixture_metrics,
    searches,
    table1,
    table2,
    table3,
    table4,
)
from reproductions.arch2vec.edit_distance import edit_distances
from reproductions.arch2vec.supervised import SupervisedEncoder
from reproductions.arch2vec.table3 import DATA_SETS, evaluator_of
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.table import CompactTable
from tfnas.encoders.arch2vec.config import Arch2VecConfig
from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.spaces import Darts, NASBench201

SPACE = NASBench201()
LABELLED = 20
"""Cells that supervised encoders learn from, the same number in most tests, so that they compile once."""


class CountingEncoder:
    """Embeds a cell by how often each operation occurs, with a little noise."""

    folder = "none"

    def latents(self, cells):
        return cells.one_hot(7).reshape(len(cells), -1)

    def embed(self, cells, progress=False):
        counts = cells.one_hot(int(cells.operations[cells.operations < 255].max()) + 1).sum(axis=1)
        noise = np.random.default_rng(0).normal(0, 0.05, (len(cells), 4))
        return np.concatenate([counts, noise], axis=1).astype(np.float32)


class DrawingEncoder:
    """Embeds a cell as its encoding, so that near cells are a few edits apart."""

    def embed(self, cells, progress=False):
        operations = cells.one_hot(11).reshape(len(cells), -1)
        return np.concatenate([operations, cells.adjacency.reshape(len(cells), -1)], axis=1).astype(np.float32)


@functools.cache
def small_encoder(space):
    """One supervised encoder per space: it starts every fit anew, and compiles once."""
    return SupervisedEncoder(space, Arch2VecConfig(hidden_dims=(16, 16), learning_rate=1e-2), epochs=30)


@pytest.fixture(autouse=True)
def _small_supervised_encoders(monkeypatch):
    """The experiments' own are too large for a test."""
    for module in (figure2, figure3, figure4, figure5, searches):
        monkeypatch.setattr(module, "SupervisedEncoder", small_encoder)


@pytest.fixture(scope="module")
def table():
    """NAS-Bench-201 with accuracies that grow with the number of convolutions."""
    cells = SPACE.enumerate()
    rng = np.random.default_rng(0)
    merit = (cells.operations == 2).sum(axis=1) + 0.5 * (cells.operations == 1).sum(axis=1)
    columns = {}
    for data_set in DATA_SETS.values():
        accuracy = 0.5 + 0.05 * merit[:, None] + rng.normal(0, 0.01, (len(cells), 3))
        accuracy[::2, 2] = np.nan
        columns[f"{data_set.name}_validation_accuracy_200"] = accuracy
        columns[f"{data_set.name}_validation_accuracy_12"] = accuracy[:, 0] - 0.1
        columns[f"{data_set.name}_test_accuracy_200"] = 0.5 + 0.05 * merit
        columns[f"{data_set.name}_training_seconds_200"] = rng.uniform(0.8, 1.2, len(cells)) * (
            data_set.budget_seconds / 30 * 200 / data_set.epochs
        )
    return CompactTable(SPACE, cells, columns, SPACE.canonical_hashes(cells))


def test_a_query_sees_one_training_and_pays_for_it(table):
    short, long = evaluator_of(table, DATA_SETS["cifar10"]), evaluator_of(table, DATA_SETS["cifar100"])
    np.testing.assert_array_equal(short.scores.validation, table.columns["cifar10_validation_accuracy_12"])
    np.testing.assert_allclose(short.scores.cost_seconds, table.columns["cifar10_training_seconds_200"] * 12 / 200)
    np.testing.assert_array_equal(long.scores.validation, table.columns["cifar100_validation_accuracy_200"][:, 0])
    np.testing.assert_array_equal(long.scores.cost_seconds, table.columns["cifar100_training_seconds_200"])


@pytest.mark.slow
def test_table_3(table, tmp_path, monkeypatch):
    inputs = table, table3.candidates_of(table, CountingEncoder())
    monkeypatch.setattr(table3, "_inputs", lambda encoder: inputs)
    monkeypatch.setattr(processes, "run", lambda function, jobs, *_: [function(job) for job in jobs])
    monkeypatch.setattr(processes, "quiet", lambda folder: None)
    report = table3.reproduce(CountingEncoder(), tmp_path, runs=4)
    report.write(tmp_path, "table3")
    values = report.values
    assert values == json.loads((tmp_path / "table3.json").read_text())
    for data_set in DATA_SETS:
        part = dict(values[data_set])
        assert part.pop("p_over_bo").keys() == {"validation", "test"}
        everything = part.pop("all 15,625 cells asked")
        assert everything["queries_mean"] == len(table)
        seen = table.columns[f"{data_set}_validation_accuracy_{DATA_SETS[data_set].epochs}"].reshape(len(table), -1)
        assert everything["test_mean"] == table.columns[f"{data_set}_test_accuracy_200"][seen[:, 0].argmax()]
        for row in part.values():
            assert 24 <= row["queries_mean"] <= 38  # a query takes a thirtieth of the budget
            assert 0.5 < row["test_mean"] <= 0.8
        for name in ("arch2vec-BO, best seen as incumbent", "arch2vec and graph features, additive process (ours)"):
            assert part[name]["test_mean"] > part["random search"]["test_mean"]
        assert (tmp_path / f"table3_{data_set}.png").stat().st_size > 0
    text = (tmp_path / "table3.md").read_text()
    assert "| arch2vec-BO " in text
    assert "91.41 / 94.18" in text
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("found.npz")}
    assert len(files) == 3 * 11
    again = table3.reproduce(CountingEncoder(), tmp_path, runs=4)
    assert again == report
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("found.npz")}


def test_jobs_in_processes_keep_their_order():
    assert processes.run(abs, [-3, 2, -1], "Test", workers=2) == [3, 2, 1]
    with pytest.raises(TypeError):
        processes.run(abs, [1, "x"], "Test", workers=1)


@pytest.fixture(scope="module")
def table101(small_nasbench101):
    """Cells of NAS-Bench-101 with up to 5 vertices; accuracy grows with 3 x 3 convolutions, every eighth failed."""
    cells = small_nasbench101.enumerate()
    rng = np.random.default_rng(0)
    accuracy = 0.82 + 0.02 * (cells.operations == 2).sum(axis=1) + rng.uniform(0, 0.001, len(cells))
    accuracy[::8] = 0.1
    seconds = 1000.0 + 500.0 * (cells.operations == 2).sum(axis=1)
    seconds[::3] = np.nan
    columns = {
        "test_accuracy_108": accuracy,
        "training_seconds_108": seconds,
        "parameters": 1e6 * (1.0 + (cells.operations == 2).sum(axis=1)),
    }
    return CompactTable(small_nasbench101, cells, columns, small_nasbench101.canonical_hashes(cells))


@pytest.mark.slow
def test_figure_2(table101, tmp_path):
    report = figure2.reproduce(table101, CountingEncoder(), tmp_path, seeds=2, samples=60)
    values = report.values
    for name in ("arch2vec", "supervised"):
        assert len(values[name]["any"]["rmse"]) == 2
        assert max(values[name]["above 80 %"]["rmse"]) < 0.01
        assert min(values[name]["above 80 %"]["pearson"]) > 0.9
    assert min(values["arch2vec"]["any"]["rmse"]) > max(values["arch2vec"]["above 80 %"]["rmse"])
    assert ("paper, arch2vec", "0.018 ± 0.001", "0.67 ± 0.02") in report.rows
    assert (tmp_path / "figure2.png").stat().st_size > 0


def test_figure_3(table101, tmp_path):
    """Counts of operations change with relabelled vertices, and not with flipped edges."""
    values = figure3.reproduce(table101, CountingEncoder(), tmp_path, steps=60, samples=LABELLED).values
    assert values["arch2vec"]["spearman"] > 0.1
    distances = values["arch2vec"]["mean_distance"]
    assert distances["1"] < distances["4"]
    assert (tmp_path / "figure3.svg").stat().st_size > 0


def test_a_walk_of_single_edits(small_nasbench101, rng):
    start = small_nasbench101.architecture(small_nasbench101.sample(1, rng), 0)
    walk = figure3.random_walk(small_nasbench101, start, 20, rng)
    assert len(walk) == 21
    assert (edit_distances(walk[:-1], walk[1:]) == 1).all()
    assert (walk.num_vertices == start.num_vertices).all()


@pytest.mark.slow
def test_figure_4(table101, tmp_path):
    values = figure4.reproduce(table101, CountingEncoder(), tmp_path, cells=200, samples=60).values
    assert values["arch2vec"]["smoothness_of_embedding"] > 0.9
    assert values["cells"] == 200
    folder = tmp_path / "figure4_projector"
    assert len((folder / "vectors.tsv").read_text().splitlines()) == 200
    labels = (folder / "labels.tsv").read_text().splitlines()
    assert labels[0].split("\t") == ["cell", "test_accuracy", "vertices", "edges"]
    assert len(labels) == 201
    assert "labels.tsv" in (folder / "projector_config.pbtxt").read_text()


def test_figure_5(table101, small_nasbench101, tmp_path):
    values = figure5.reproduce(
        [(small_nasbench101, DrawingEncoder()), (Darts(), DrawingEncoder())],
        [(table101, "test_accuracy_108")],
        tmp_path,
        starts=4,
        steps=3,
        sampled_cells=200,
        samples=LABELLED,
    ).values
    found = values["nasbench101, arch2vec"]
    assert 0 < found["step"] < found["random_pairs"]
    assert set(values) >= {"nasbench101, supervised", "darts, arch2vec"}
    assert (tmp_path / "figure5_darts_arch2vec.png").stat().st_size > 0


def test_a_walk_to_the_nearest_point():
    points = np.array([[0.0], [1.0], [3.0], [-1.5], [10.0]])
    assert figure5.nearest_walk(points, 0, 4).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "method",
    [
        "random search",
        "REINFORCE, discrete",
        "BO, supervised",
        "RL, supervised",
        "arch2vec-BO",
    ],
)
def test_methods_of_table_2(method, table101, tmp_path):
    job = searches.Job(method, tmp_path / "job", tmp_path, runs=12, seed=1)
    bounds = {"labelled": LABELLED, "most_queries": 40, "budget_seconds": 30_000.0}
    found = searches.results(job, lambda: table2.search(job, table101, CountingEncoder(), **bounds))
    assert found["best"].shape == found["seconds"].shape == (12, 40)
    assert (np.diff(found["best"], axis=1) >= 0).all()
    assert (np.diff(found["seconds"], axis=1) >= 900).all()
    assert (found["queries"] < 33).all()
    assert (found["final"] <= found["best"][:, -1]).all()
    assert found["r2"] > 0.99
    assert found["optimum"] == table101.columns["test_accuracy_108"].max()
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["found.npz"]
    if "supervised" in method:  # two groups of runs would share their first queries, ten don't
        assert len(np.unique(found["best"][:, 0])) > 5


def test_missing_times_are_predicted(table101):
    seconds, explained = table2.simulated_seconds(table101, seed=1)
    truth = 1000.0 + 500.0 * (table101.cells.operations == 2).sum(axis=1)
    np.testing.assert_allclose(seconds, truth, rtol=0.05)
    assert explained > 0.99


def test_samples_of_a_mixture(small_nasbench101):
    """Repeatable."""
    space = small_nasbench101
    model = Arch2Vec(Arch2VecConfig(hidden_dims=(16, 16)), space.max_vertices, len(space.operations))
    values = mixture_metrics.evaluate(model, space, space.sample(400, 0), 200, seed=1)
    assert set(values) == {"mixture_validity", "mixture_uniqueness", "mixture_relative_uniqueness"}
    assert values == mixture_metrics.evaluate(model, space, space.sample(400, 0), 200, seed=1)


@pytest.mark.slow
def test_table_1(tmp_path):
    """One short pretraining in a process of its own; a second call repeats nothing."""
    arguments = {"spaces": ["darts"], "variants": ["arch2vec"], "seeds": 1, "darts_cells": 1200, "epochs": {"darts": 1}}
    report = table1.reproduce(tmp_path, **arguments)
    (summary,) = report.values["darts"]["arch2vec"]
    assert summary["train_cells"] == 1080
    assert {"mixture_validity", "published_validity", "independent_validity"} <= set(summary)
    stamp = (tmp_path / "table1" / "darts_arch2vec_1" / "summary.json").stat().st_mtime_ns
    assert table1.reproduce(tmp_path, **arguments) == report
    assert (tmp_path / "table1" / "darts_arch2vec_1" / "summary.json").stat().st_mtime_ns == stamp
    assert report.rows[0][-1] == "99.79 / 33.36 / 100"
    assert (tmp_path / "table1.png").stat().st_size > 0


@pytest.mark.slow
def test_table_4(tmp_path):
    sizes = {"queries": 1, "candidates": 50, "query_epochs": 1, "final_epochs": 1}
    values = table4.reproduce(CountingEncoder(), tmp_path, **sizes).values
    assert len(values["arch2vec-BO"]["genotype"].split(",")) == 8
    assert 0 <= values["arch2vec-RL"]["test_error"] <= 1
    assert "3.617 million parameters" in values["published_cells"][0]
    assert (tmp_path / "table4_arch2vec-BO.png").stat().st_size > 0


@pytest.mark.data
def test_the_first_repeat_is_always_there(data_dir):
    """The search label of CIFAR-100 and ImageNet16-120 is the first repeat."""
    table = load_table("nasbench201")
    for data_set in DATA_SETS.values():
        assert np.isfinite(evaluator_of(table, data_set).scores.validation).all()
        assert not evaluator_of(table, data_set).scores.failed.any()
