"""Predictors of a user's own labels: tables of labels and their mistakes, choice, coverage, refusals, exports."""

import json
import types

import numpy as np
import pytest

import tfnas
from tests.fork import run
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.networks import symbolic
from tfnas.networks.models import named_model
from tfnas.predictors import label_candidates as candidates
from tfnas.predictors.label_predictor import LabelPredictor, choose
from tfnas.predictors.own_labels import OwnLabels, read_csv

ROWS = (13714, 1, 77, 900, 5000, 8000, 1234, 4321, 10000, 12000, 15000, 2500)


@pytest.fixture(autouse=True)
def one_division(monkeypatch):
    """A single division into folds is quicker."""
    monkeypatch.setattr("tfnas.predictors.label_predictor.REPEATS", 1)


def drawn(count, seed=0):
    """Random cells, and labels that their operators decide, in percent."""
    rows = np.random.default_rng(seed).permutation(15625)[:count]
    graphs = tuple(named_model(f"nasbench201:{row}").replace(name=f"nasbench201:{row}") for row in rows)
    noise = np.random.default_rng(seed + 1).normal(size=count)
    return graphs, np.array([70 + 0.2 * graph.num_nodes / 3 + graph.total_parameters / 1e5 for graph in graphs]) + noise


def written(path, rows=ROWS, header="model,accuracy"):
    lines = [f"nasbench201:{row},{80 + number}" for number, row in enumerate(rows)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_a_table_is_read(tmp_path):
    labels = read_csv(written(tmp_path / "mine.csv", header="model,points"), "points")
    assert [graph.name for graph in labels.graphs] == [f"nasbench201:{row}" for row in ROWS]
    assert labels.labels.tolist() == list(range(80, 92))
    assert labels.column == "points"


def test_a_path_starts_at_the_folder_of_the_table(tmp_path):
    path = written(tmp_path / "mine.csv", ROWS[:5])
    path.write_text(path.read_text() + "there/small.keras,3\n")
    with pytest.raises(ConfigurationError, match=r"line 7, column 'model': .*there/small.keras: no such file"):
        read_csv(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("model,", "network,"), r"mine.csv, line 1: column 'model' occurs 0 times"),
        (lambda text: text.replace("accuracy", "score"), r"mine.csv, line 1: column 'accuracy' occurs 0 times"),
        (lambda text: text.replace(",81", ",good"), r"mine.csv, line 3, column 'accuracy': 'good', expected a number"),
        (lambda text: text.replace(",81", ""), r"line 3, column 'accuracy': '', expected a number"),
        (lambda text: text.replace(",81", ",nan"), r"line 3, column 'accuracy': nan, expected a finite number"),
        (lambda text: text.replace(":77,", ":1,"), r"line 4, column 'model': nasbench201:1 is on line 3 too"),
        (lambda text: text.replace(":77,", ":99999999,"), r"line 4, column 'model': "),
        (lambda text: "\n".join(text.splitlines()[:5]), r"mine.csv: 4 rows below the header, expected at least 5"),
        (lambda text: "model,accuracy\n" + "".join(f"nasbench201:{row},7\n" for row in ROWS), r"all labels are 7"),
        (lambda _: "", r"line 1: column 'model' occurs 0 times"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, change, message):
    path = written(tmp_path / "mine.csv")
    path.write_text(change(path.read_text()))
    with pytest.raises(ConfigurationError, match=message):
        read_csv(path)


def test_what_is_no_table(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not a CSV file in UTF-8"):
        read_csv(tmp_path / "binary.csv")
    graphs, labels = drawn(5)
    with pytest.raises(ConfigurationError, match="labels hold NaN"):
        OwnLabels(graphs, labels * np.nan)


@pytest.mark.parametrize("count", [5, 12, 13])
def test_few_labels_are_learned_and_exported(tmp_path, count):
    graphs, labels = drawn(count)
    predictor = LabelPredictor(seed=3).fit(OwnLabels(graphs, labels, "points"))
    assert predictor.spearman.keys() == {candidates.LEARNED, *candidates.BASELINES}
    others = drawn(6, seed=7)[0]
    predictor.save(tmp_path / "predictor")
    opened = tfnas.load(tmp_path / "predictor")
    assert opened.predict_all(others) == predictor.predict_all(others)
    assert LabelPredictor(seed=3).fit(OwnLabels(graphs, labels)).predict_all(others) == predictor.predict_all(others)
    manifest = json.loads((tmp_path / "predictor" / "manifest.json").read_text()) | {"chosen": "another"}
    del manifest["entries_sha256"]
    (tmp_path / "predictor" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptArtefactError, match=r"manifest\['chosen'\] is 'another', expected a candidate"):
        tfnas.load(tmp_path / "predictor")
    (tmp_path / "predictor" / "labels.npz").write_bytes(b"")
    with pytest.raises(CorruptArtefactError, match=r"labels\.npz"):
        tfnas.load(tmp_path / "predictor")


@pytest.mark.parametrize("name", candidates.BASELINES)
def test_a_baseline_that_is_ahead_predicts_and_says_so(tmp_path, name, monkeypatch):
    monkeypatch.setattr("tfnas.predictors.label_predictor.choose", lambda *_: name)
    graphs, labels = drawn(12)
    predictor = LabelPredictor().fit(OwnLabels(graphs, labels))
    facts = predictor.facts()
    assert facts["trivial_baseline"]
    assert f"A trivial baseline predicts, {name}" in facts["reason"]
    others = drawn(5, seed=4)[0]
    predictor.save(tmp_path / "predictor")
    assert LabelPredictor.load(tmp_path / "predictor").predict_all(others) == predictor.predict_all(others)
    manifest = json.loads((tmp_path / "predictor" / "manifest.json").read_text())
    assert (manifest["chosen"], manifest["trivial_baseline"]) == (name, True)
    one = predictor.predict(others[2])
    assert one.score == pytest.approx(predictor.predict_all(others)[2].score)
    column = candidates.NUMBERS.index(name) if name in candidates.NUMBERS else None
    if column is not None:
        numbers = np.array([candidates.size_numbers(graph)[column] for graph in others])
        scores = np.array([row.score for row in predictor.predict_all(others)])
        assert np.all(np.diff(scores[np.argsort(numbers)]) >= -1e-12)


class MadeUpJacobians:
    """Embeds graphs by the number behind the colon of their names; no Jacobian where the number is odd and small."""

    def __init__(self, images, seed):
        self.images, self.encoder = images, types.SimpleNamespace(fingerprint="abc", folder="made/up")

    def embed(self, models, folder="."):
        rows = np.array([float(model.name.rpartition(":")[2]) for model in models])
        values = np.stack([rows, rows**2], axis=1)
        values[(rows % 2 == 1) & (rows < 2000)] = np.nan
        return values


def test_jacobians_are_one_more_block(tmp_path, monkeypatch):
    monkeypatch.setattr("tfnas.encoders.jacobian.models.ModelJacobians", MadeUpJacobians)
    graphs, _ = drawn(12)
    numbers = np.array([float(graph.name.rpartition(":")[2]) for graph in graphs])
    predictor = LabelPredictor(3, MadeUpJacobians(np.ones((2, 1)), 3)).fit(OwnLabels(graphs, numbers))
    assert predictor.spearman.keys() == {candidates.LEARNED, candidates.WITH_JACOBIANS, *candidates.BASELINES}
    assert predictor.spearman[candidates.WITH_JACOBIANS][0] > predictor.spearman[candidates.LEARNED][0] + 0.2
    assert predictor.chosen == candidates.WITH_JACOBIANS
    assert "The learned ensemble predicts with Jacobians: " in predictor.reason
    assert not predictor.facts()["trivial_baseline"]
    others = drawn(5, seed=5)[0]
    predictor.save(tmp_path / "predictor")
    opened = LabelPredictor.load(tmp_path / "predictor")
    assert opened.predict_all(others) == predictor.predict_all(others)
    np.testing.assert_array_equal(opened._jacobians.images, np.ones((2, 1)))
    monkeypatch.setattr("tfnas.encoders.jacobian.models.ModelJacobians", OtherJacobians)
    with pytest.raises(MismatchError, match="another Jacobian encoder"):
        LabelPredictor.load(tmp_path / "predictor")


class OtherJacobians(MadeUpJacobians):
    def __init__(self, images, seed):
        super().__init__(images, seed)
        self.encoder.fingerprint = "def"


def test_a_network_without_a_jacobian_has_the_mean():
    block = candidates.EmbeddingBlock(np.array([[1.0, 5], [3, 5], [np.nan, np.nan]]))
    root = np.sqrt(1)  # of the single column that varies
    np.testing.assert_allclose(block(np.array([[3.0, 9], [2, 5], [np.nan, np.nan]])), [[1 / root], [0], [0]])
    with pytest.raises(ConfigurationError, match="1 of 2 labelled networks have embeddings, expected two that differ"):
        candidates.EmbeddingBlock(np.array([[1.0], [np.nan]]))


def test_evidence_decides_against_expectations():
    even = dict.fromkeys((candidates.LEARNED, *candidates.BASELINES), (0.7, 0.0))
    assert choose(even | {"depth": (0.8, 0.0)}, 5) != "depth"
    assert choose(even | {"depth": (0.9, 0.0)}, 200) == "depth"
    assert choose(even | {candidates.LEARNED: (0.9, 0.0)}, 50) == candidates.LEARNED


def test_intervals_hold_the_labels_they_promise():
    graphs, labels = drawn(200)
    inside = []
    for start in (0, 30):
        rows = np.arange(start, start + 20)
        predictor = LabelPredictor().fit(OwnLabels(tuple(graphs[row] for row in rows), labels[rows]))
        found = predictor.predict_all(graphs[60:])
        inside += [one.low <= label <= one.high for one, label in zip(found, labels[60:], strict=True)]
    assert 0.7 <= np.mean(inside) <= 0.92


def test_networks_unlike_the_labelled_ones_get_no_prediction():
    graphs, labels = drawn(30)
    predictor = LabelPredictor().fit(OwnLabels(graphs, labels))
    far = predictor.predict(_other("mobilenetv3"))
    assert far.distance > 2
    assert far.record()["value"] is None
    near = [predictor.predict(graph) for graph in drawn(40, seed=9)[0]]
    assert np.mean([one.known for one in near]) > 0.8
    again = predictor.predict(graphs[4])
    assert again.nearest[0] == (graphs[4].name, labels[4])
    assert again.distance == 0


def _other(name):
    space = tfnas.space(name)
    return symbolic.build(space, space.architecture(space.sample(1, 0), 0))


def test_from_a_table_to_a_prediction(tmp_path):
    path = written(tmp_path / "mine.csv")
    learn = ["train_predictor", f"--data={path}", f"--output_dir={tmp_path / 'out'}"]
    done = run(*learn)
    assert done.returncode == 0, done.stderr
    for name in (candidates.LEARNED, *candidates.BASELINES):
        assert f"| {name} " in done.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["labels"] == 12
    assert summary["reason"] in done.stdout
    models = ["--model=nasbench201:6000", f"--model=nasbench201:{ROWS[3]}"]
    answer = ["predict", f"--predictor={tmp_path / 'out' / 'predictor'}", f"--json={tmp_path / 'answer.json'}"]
    done = run(*answer, *models)
    assert "80% interval" in done.stdout
    assert summary["reason"] in done.stdout
    found = json.loads((tmp_path / "answer.json").read_text())
    assert found[1]["name"] == f"nasbench201:{ROWS[3]}"
    assert found[1]["nearest"][0] == [f"nasbench201:{ROWS[3]}", 83]
    assert "is not empty; pass --resume or --overwrite" in run(*learn).stderr
    assert run(*learn, "--resume").returncode == 0
    mixed = run(*learn, "--benchmarks=digits201:60", "--overwrite")
    assert "--benchmarks is given too" in mixed.stderr
    alone = run("train_predictor", "--jacobian_images=images.npz", f"--output_dir={tmp_path / 'no'}")
    assert "--jacobian_images=images.npz: goes with --data" in alone.stderr
