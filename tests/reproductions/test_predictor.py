"""The predictor's experiments on small made-up tables: what is seen by which stage, what is measured and written."""

import dataclasses
import functools
import json

import numpy as np
import pytest
import scipy.stats

from reproductions.predictor import corpus as predictor_corpus
from reproductions.predictor import few_labels, methods, own_labels, table1, table2, table3, table4
from reproductions.predictor import proxies as predictor_proxies
from reproductions.predictor.corpus import TARGETS, fine_tuning_sets
from reproductions.predictor.methods import Task
from reproductions.predictor.regression import RegressionConfig
from reproductions.predictor.settings import Settings
from reproductions.registry import PAPERS
from tfnas.benchmarks.table import write_table
from tfnas.encoders.computation_graph.config import preset
from tfnas.errors import ConfigurationError
from tfnas.networks import symbolic
from tfnas.predictors.config import MLPConfig
from tfnas.spaces import NASBench101, NASBench201, NASBench301

_SIZES = {"nasbench101": 130, "nasbench201": 120, "nasbench301": 70}
SETTINGS = Settings(runs=2, epochs=1, nasbench101_graphs=110, nasbench301_graphs=80, search_runs=2, proxy_cells=100)
_SPACES = {"nasbench101": NASBench101, "nasbench201": NASBench201, "nasbench301": NASBench301}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Tables in which the share of 3 x 3 convolutions decides the accuracy."""
    folder = tmp_path_factory.mktemp("tables")
    for name, count in _SIZES.items():
        space, rng = _SPACES[name](), np.random.default_rng(1)
        cells = space.enumerate() if name == "nasbench201" else space.sample(count, rng)
        if name == "nasbench201":
            none = space.operations.index("none")
            cells = cells[(cells.operations != none).all(axis=1)]
            cells = cells[rng.permutation(len(cells))[: count - 5]]
            cells = type(cells).concatenate([cells, space.enumerate()[np.arange(15_620, 15_625)]])
        codes = [code for code, op in enumerate(space.operations) if "3x3" in op and "conv" in op]
        accuracy = 0.8 + 0.02 * np.isin(cells.operations, codes).sum(axis=1) + rng.normal(0, 0.004, len(cells))
        columns = {predictor_corpus._COLUMNS[name]: np.minimum(accuracy, 0.99)}
        if name == "nasbench301":
            columns |= {f"proxy_{proxy}": rng.normal(size=len(cells)) for proxy in predictor_proxies.PROXIES}
        write_table(folder / f"{name}.npz", space, cells, columns, source="made up")
        if name == "nasbench201":
            order = rng.permutation(len(cells))
            scores = {proxy: rng.normal(size=len(cells)) for proxy in predictor_proxies.PROXIES}
            scores["told"] = accuracy[order]
            write_table(folder / "nasbench201_proxies.npz", space, cells[order], scores, source="made up")
    images = np.random.default_rng(0).integers(0, 255, (140, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(140) % 10
    np.savez(folder / "cifar10_subset.npz", x_train=images, y_train=labels, x_test=images[:40], y_test=labels[:40])
    return folder


@pytest.fixture
def data(tables, monkeypatch):
    monkeypatch.setenv("TFNAS_DATA_DIR", str(tables))
    return tables


@pytest.fixture(scope="module")
def corpus_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("corpus")


@pytest.fixture(scope="module")
def corpus(tables, corpus_folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFNAS_DATA_DIR", str(tables))
        return predictor_corpus.load(corpus_folder, SETTINGS)


def test_corpus(corpus, corpus_folder, data):
    assert [len(corpus.rows(family)) for family in TARGETS] == [110, 115 + int(_none_free()), 80]
    assert len(corpus.labelled("nasbench301")) == 70
    assert corpus.spectra.shape == (len(corpus.graphs), 11)
    again = predictor_corpus.load(corpus_folder, SETTINGS)
    for name in ("codes", "edges", "labels", "family"):
        np.testing.assert_array_equal(getattr(again.graphs, name), getattr(corpus.graphs, name))
    row = int(corpus.rows("nasbench201")[7])
    cell = NASBench201().architecture(corpus.cells["nasbench201"], 7)
    graph = symbolic.build(NASBench201(), cell, layout="predictor")
    np.testing.assert_array_equal(corpus.graphs.graph_edges(row), graph.edges)


def _none_free():
    """How many of the five last cells of the space, which the table holds, do not have `none`."""
    space = NASBench201()
    cells = space.enumerate()[np.arange(15_620, 15_625)]
    return (cells.operations != space.operations.index("none")).all(axis=1).sum()


def test_labels_of_the_target_are_seen_by_fine_tuning_alone(corpus):
    pool = corpus.pool("nasbench201", 1)
    sets = fine_tuning_sets(pool, "nasbench201", 3, 1)
    task = Task(corpus, "nasbench201", pool, sets, 1)
    sources = corpus.without("nasbench201")
    assert not set(sources) & set(corpus.rows("nasbench201"))
    assert np.isfinite(corpus.graphs.labels[sources]).all()
    for run, own in enumerate(sets):
        assert len(own) == 40 == len(set(own))
        assert set(own) | set(task.tests(run)) == set(pool)
        assert not set(own) & set(task.tests(run))
    np.testing.assert_allclose(task.targets().mean(axis=1), 0, atol=1e-4)
    labels = corpus.graphs.labels
    found = task.correlations(task.predictions(lambda run, rows: labels[rows]))
    np.testing.assert_allclose(found, 1)
    for family in TARGETS:
        rows = corpus.labelled(family)
        np.testing.assert_allclose(corpus.standardised_labels()[rows].std(), 1, rtol=1e-4)


@pytest.fixture
def task(corpus):
    pool = corpus.pool("nasbench201", 1)
    return Task(corpus, "nasbench201", pool, fine_tuning_sets(pool, "nasbench201", 2, 1), 1)


def test_methods_rank_what_is_easy(task, monkeypatch):
    small = functools.partial(MLPConfig, hidden=(16,), members=2, tune_epochs=30)
    monkeypatch.setattr(methods, "MLPConfig", small)
    embeddings = task.corpus.graphs.structure
    predictions, before = methods.mlp(task, embeddings)
    assert np.isfinite(before)
    assert min(task.correlations(predictions)) > 0.5
    alone, none = methods.mlp(task, embeddings, source=False)
    assert np.isnan(none)
    process, _ = methods.process(task, table1.feature_blocks(task, embeddings)["features"])
    assert min(task.correlations(process)) > 0.8
    joined = methods.mean([predictions, process])
    for run in range(2):
        z = [scipy.stats.zscore(part[run]) for part in (predictions, process)]
        np.testing.assert_allclose(joined[run], np.mean(z, axis=0), atol=1e-3)
    assert alone[0].shape == process[0].shape


@pytest.mark.slow
def test_end_to_end(task, tmp_path):
    config = preset("paper", width=8, layers=2, embedding_dim=8)
    schedule = RegressionConfig(batch_size=32, tune_epochs=20, tune_learning_rate=3e-3)
    predictions = methods.end_to_end(task, config, tmp_path, schedule=schedule)
    assert np.mean(task.correlations(predictions)) > 0.3


@pytest.mark.slow
def test_table1_and_table2(data, tmp_path, monkeypatch):
    small = {"width": 8, "layers": 2, "embedding_dim": 8, "projection_dim": 4, "batch_size": 32}
    from tfnas.encoders.computation_graph import config

    preset = config.preset  # patched below
    monkeypatch.setattr(table1.encoder_config, "preset", lambda name: preset(name, **small))
    report = table1.run(tmp_path, SETTINGS)
    assert len(report.values["correlations"]) == 13
    assert report.rows[1][1] == "0.553 ± 0.09"
    assert (tmp_path / "table1.png").exists()
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    assert table1.run(tmp_path, SETTINGS) == report
    assert kept == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    variants = {"tfnas": preset("tfnas", **small), "SimCLR": preset("tfnas", loss="simclr", **small)}
    monkeypatch.setattr(table2, "VARIANTS", variants)
    values = table2.run(tmp_path, SETTINGS).values
    assert list(values["correlations"]) == ["tfnas, untrained", "tfnas", "SimCLR"]


def test_table3(data, tmp_path, monkeypatch):
    monkeypatch.setattr(table3, "QUERIES", {"nasbench101": 20, "nasbench201": 20})
    monkeypatch.setattr(table3, "LABELS", 8)
    values = PAPERS["predictor"].run("table3", tmp_path, SETTINGS).values
    for space in ("nasbench101", "nasbench201"):
        assert (tmp_path / f"table3_{space}.png").exists()
        for found in values[space].values():
            assert len(found["rank"]) == {"nasbench101": 5, "nasbench201": 2}[space]
            assert min(found["rank"]) >= 1
    table = table3._table("nasbench201")
    assert len(table) == 115 + int(_none_free())
    assert "of 2 runs" in (tmp_path / "table3.md").read_text()
    assert json.loads((tmp_path / "table3.json").read_text()) == values


def test_table4(tmp_path, monkeypatch):
    """The search and its report, with an evaluator that trains nothing."""

    class Evaluator(table4.TrainedEvaluator):
        def __init__(self, space, build, images, config, network):
            assert network == {"width": 0.25}
            assert images.train[0].shape[1:] == (32, 32, 1)
            assert build(space.architecture(space.sample(1, np.random.default_rng(0)), 0), (32, 32, 1), 10)
            self.space, self.batch = space, 5

        def keep_in(self, cache):
            cache.touch()

        def query(self, architectures):
            from tfnas.benchmarks.base import Score

            return [Score(sum("expand_6" in n for n in a.operations) / 20, 0.5, 1.0) for a in architectures]

    monkeypatch.setattr(table4, "TrainedEvaluator", Evaluator)
    report = table4.run(tmp_path, SETTINGS)
    values = report.values
    assert len(values["validation"]) == 20
    assert values["best_validation"] == max(values["validation"])
    assert "with the pretrained supernet" in report.comparison[1]


def test_proxies(data, tmp_path, monkeypatch):
    """Scores are computed once, ranked against the table, and used as features."""
    rng = np.random.default_rng(0)

    def scorer(space, images, labels, proxies, seed):
        assert images.shape == (64, 32, 32, 3)
        return lambda cell: {
            name: sum("conv_3x3" in op for op in cell.operations) + rng.random() / 10 for name in proxies
        }

    def drawn(space, count, seed):
        return table3._table("nasbench201").cells[:count]

    monkeypatch.setattr(predictor_proxies, "scorer", scorer)
    monkeypatch.setattr(predictor_proxies, "drawn_cells", drawn)
    report = predictor_proxies.run(tmp_path, SETTINGS)
    values = report.values
    assert values["nasbench201"]["snip"] > 0.7
    assert len(values["predictors"]["GP on proxies"]) == 2
    assert "0.859" in {row[2] for row in report.rows}
    again = predictor_proxies.run(tmp_path, SETTINGS).values
    assert again["nasbench201"] == values["nasbench201"]
    log = tmp_path / "proxies" / "nasbench201" / "scores.jsonl"
    lines = log.read_text().splitlines()
    predictor_proxies.run(tmp_path, dataclasses.replace(SETTINGS, proxy_cells=104))
    assert log.read_text().splitlines()[:100] == lines
    assert len(log.read_text().splitlines()) == 104


def test_more_cells_begin_with_the_same_cells(data):
    space = NASBench201()
    few, many = (predictor_proxies.drawn_cells(space, count, 1) for count in (70, 4098))
    np.testing.assert_array_equal(few.operations, space.sample_without("none", 70, 1).operations)
    np.testing.assert_array_equal(many[:70].operations, few.operations)
    assert space.lacks(many, "none").sum() == 4096
    assert len(np.unique(space.canonical_hashes(many))) == 4098
    with pytest.raises(ConfigurationError, match=r"proxy_cells=5000, expected at most 4\d\d\d"):
        predictor_proxies.drawn_cells(space, 5000, 1)


def test_own_labels(tmp_path, monkeypatch):
    """The choice has the correlation of what was chosen; no baseline is above the best one; nothing is fitted twice."""
    monkeypatch.setattr(own_labels, "SPACES", ("digits201",))
    monkeypatch.setattr(own_labels, "COUNTS", (5, 7))
    monkeypatch.setattr(own_labels, "NETWORKS", 40)
    monkeypatch.setattr(own_labels, "_TESTED", 30)
    monkeypatch.setattr("tfnas.predictors.label_predictor.REPEATS", 1)
    settings = dataclasses.replace(SETTINGS, own_draws=2)
    report = own_labels.run(tmp_path, settings)
    found, chosen = report.values["correlations"]["digits201"], report.values["chosen"]["digits201"]
    for draw, column in np.ndindex(2, 2):
        assert found[own_labels.CHOSEN][draw][column] == found[chosen[draw][column]][draw][column]
        baselines = [found[name][draw][column] for name in own_labels.candidates.BASELINES]
        assert found[own_labels.BEST][draw][column] == max(baselines)
    assert len(report.rows) == 2 * len(found)
    assert report.comparison[1].startswith("7 labels: ")
    assert (tmp_path / "own_labels.png").stat().st_size > 0
    monkeypatch.delattr(own_labels, "LabelPredictor")
    assert own_labels.run(tmp_path, settings).values == report.values


def test_few_labels(data, tmp_path, monkeypatch):
    """Every row is measured; counts that decide the accuracy are learned, a proxy that tells it is used."""
    monkeypatch.setattr(few_labels, "COUNTS", (10, 50))
    monkeypatch.setattr(few_labels, "TARGETS", {"nasbench201": 12})
    monkeypatch.setattr(few_labels, "GOALS", {("nasbench201", few_labels.MAIN): 0.4, ("nasbench201", "depth"): 1.1})
    report = few_labels.run(tmp_path, dataclasses.replace(SETTINGS, draws=2))
    correlations = report.values["correlations"]
    assert set(correlations["nasbench201"]) == set(few_labels.ROWS)
    for row in correlations["nasbench201"].values():
        assert [len(values) for values in row.values()] == [2, 2]
    mean = {name: np.mean(row["12"]) for name, row in correlations["nasbench201"].items()}
    assert mean[few_labels.PROXIES] > mean[few_labels.MAIN] > 0.4
    assert mean["ridge on counts of operations"] > 0.6
    assert "goal 0.4 reached" in report.comparison[0]
    assert report.comparison[1].startswith("nasbench201, depth: ")
    assert "goal 1.1 missed; below a baseline with 10 labels (parameters)" in report.comparison[1]
    assert [row[1] for row in report.rows] == list(few_labels.ROWS)
    assert (tmp_path / "few_labels.png").exists()
