"""Predictors of any network: what is held out, what an export answers, and how far it says a network lies."""

import numpy as np
import pytest

from tests import plain
from tests.graphs.test_packed import sample
from tfnas.benchmarks import BENCHMARKS
from tfnas.encoders.computation_graph.config import preset
from tfnas.encoders.computation_graph.export import export
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.graphs.computation_graph import ComputationGraph, to_example
from tfnas.graphs.operators import ACTIVATIONS, CODES
from tfnas.graphs.packed import pack
from tfnas.networks.models import named_model
from tfnas.predictors import baselines, labelled
from tfnas.predictors.config import MLPConfig
from tfnas.predictors.graph_numbers import groups
from tfnas.predictors.graph_predictor import GraphPredictor
from tfnas.predictors.labelled import LabelSource
from tfnas.predictors.ranking import rank
from tfnas.predictors.saved import SavedPredictor, prediction_table

CONFIG = MLPConfig(hidden=(16,), members=3, epochs=40, batch_size=16, tune_epochs=40)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "encoder"
    export(GraphEncoder(preset("tfnas", width=16, layers=2, embedding_dim=16), 1), folder)
    return SavedGraphEncoder(folder)


@pytest.fixture(scope="module")
def graphs():
    """Two families in which larger networks are better, each in a range of its own."""
    packed = pack(sample(count=60) + sample("nats_size", 60))
    size = packed.structure[:, 0]
    for place, scale in ((0, 0.02), (1, 0.2)):
        own = packed.family == place
        size[own] = 0.5 + scale * (size[own] - size[own].mean()) / size[own].std()
    return packed.with_labels(size)


@pytest.fixture(scope="module")
def trained(encoder, graphs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("predictor")
    predictor = GraphPredictor(encoder, CONFIG, 1).fit(graphs, graphs.labels)
    predictor.save(folder, {"nasbench101": "sizes", "nats_size": "sizes"})
    return folder / "predictor", predictor


def test_held_out_networks_are_ranked(trained):
    summary = trained[1].summary
    assert set(summary["spearman"]) == {"nasbench101", "nats_size"}
    assert summary["spearman"]["nats_size"] > 0.3  # of six networks
    families = summary["families"]
    assert families["nats_size"]["label_stddev"] > 5 * families["nasbench101"]["label_stddev"]


def test_answers(trained, graphs):
    predictor = SavedPredictor(trained[0])
    known = sample("nats_size", 30)
    answers = predictor.predict_all(known)
    assert {answer.family for answer in answers} == {"nats_size"}
    parameters = [graph.total_parameters for graph in known]
    scores = [answer.score for answer in answers]
    assert np.corrcoef(np.log(parameters), scores)[0, 1] > 0.7
    facts = trained[1].summary["families"]["nats_size"]
    order = np.argsort(scores)
    accuracies = [answers[row].accuracy for row in order]
    assert accuracies == sorted(accuracies)
    for answer in answers:
        low, high = answer.accuracy_interval
        assert facts["label_min"] <= low <= answer.accuracy <= high <= facts["label_max"]
        worst, best = answer.percentile_interval
        assert 0 <= worst <= answer.percentile <= best <= 100
    assert answers[order[-1]].percentile > 60 > 40 > answers[order[0]].percentile
    assert all(answer.stddev > 0 for answer in answers)
    stranger = predictor.predict(sample("mobilenetv3", 1)[0])
    assert not stranger.known
    assert "no prediction" in prediction_table(stranger)
    assert "accuracy" not in prediction_table(stranger)
    nearest = min(answers, key=lambda answer: answer.distance)
    assert nearest.known
    assert "no prediction" not in prediction_table(nearest)
    assert "80 % interval" in prediction_table(nearest)


def test_nearest_labelled_networks(trained, graphs):
    """A network that the predictor was trained on is its own nearest network, with its own label."""
    row = int(np.flatnonzero(graphs.family == 1)[7])
    answer = SavedPredictor(trained[0]).predict(sample("nats_size", 60)[7])
    assert answer.nearest[0].name == f"nats_size-{row}"
    assert answer.nearest[0].accuracy == pytest.approx(graphs.labels[row])
    assert answer.nearest[0].distance == pytest.approx(0, abs=0.05)
    distances = [known.distance for known in answer.nearest]
    assert len(distances) == 3
    assert distances == sorted(distances)


def test_reasons_add_up(trained):
    """Parts of the score add up to its difference from the family's means, and sizes decide where labels are sizes."""
    predictor = SavedPredictor(trained[0])
    for answer in predictor.predict_all(sample("nats_size", 8) + sample(count=4)):
        assert sum(answer.reasons.values()) == pytest.approx(answer.score - answer.average_score, abs=1e-4)
        assert f"{answer.score:+.2f} |\n" in prediction_table(answer) + "\n" or not answer.known
    assert set(answer.reasons) == {*groups(), "embedding of the graph"}


def test_intervals_cover(trained):
    """80 % of the labels lie in the intervals that other networks give, up to the noise of 60 networks."""
    assert all(0.6 <= value <= 0.95 for value in trained[1].summary["coverage"].values())


def test_rankings(trained):
    """Learned scores rank one known family; the form ranks networks of which one is a stranger."""
    predictor = SavedPredictor(trained[0])
    answers = predictor.predict_all(sample("nats_size", 12))
    near = [graph for graph, answer in zip(sample("nats_size", 12), answers, strict=True) if answer.known][:4]
    ranking = rank(predictor, near)
    assert ranking.learned
    scores = [network.prediction.score for network in ranking.networks]
    assert scores == sorted(scores, reverse=True)
    mixed = rank(predictor, [*near, sample("mobilenetv3", 1)[0]])
    assert not mixed.learned
    scores = [network.form_score for network in mixed.networks]
    assert scores == sorted(scores, reverse=True)
    assert "unlike all" in str(mixed)
    (stranger,) = [row for row in mixed.records() if not row["known"]]
    assert stranger["accuracy"] is None
    assert stranger["nearest"] is None
    assert stranger["form_interval"][0] < stranger["form_score"] < stranger["form_interval"][1]
    assert all(row["nearest"][0]["accuracy"] > 0 for row in mixed.records() if row["known"])


def test_a_fault_comes_last(trained):
    """A network that can't be good is the last, whatever its score."""
    graphs = sample("nats_size", 6)
    predictor = SavedPredictor(trained[0])
    best = rank(predictor, graphs).networks[0].name
    linear = graphs[[graph.name for graph in graphs].index(best)]
    keep = np.where(
        np.isin(linear.operators, [CODES[name] for name in ACTIVATIONS]), CODES["identity"], linear.operators
    )
    broken = linear.replace(operators=keep, name="no activation functions")
    ranking = rank(predictor, [*graphs, broken])
    assert ranking.networks[-1].name == "no activation functions"
    assert ranking.networks[-1].fault == "no nonlinearity"


def test_the_shipped_predictor_beats_every_baseline():
    """In every family, on networks that its models had not seen; intervals hold what they say."""
    training = SavedPredictor().manifest["training"]
    assert set(training["spearman"]) == {"nasbench101", "nasbench201", "nats_size", "nasbench301"}
    for family, learned in training["spearman"].items():
        found = training["baselines"][family]
        assert set(found) == {*baselines.SIZES, baselines.RIDGE}
        assert learned > max(value for value in found.values() if value is not None), family
        assert 0.75 <= training["coverage"][family] <= 0.88, family  # 325 cells make noise of 0.02


def test_the_shipped_predictor_refuses_strangers():
    predictor = SavedPredictor()
    assert not any(answer.known for answer in predictor.predict_all(sample("mobilenetv3", 3)))
    answer = predictor.predict("nasbench201:13714")
    assert answer.known
    assert answer.score == predictor.predict(named_model("nasbench201:13714")).score
    low, high = answer.accuracy_interval
    assert low <= answer.accuracy <= high
    assert all(named_model(known.name).num_nodes > 2 for known in answer.nearest)


def test_without_tfnas(trained, tmp_path):
    graph = sample("nats_size", 1)[0]
    (tmp_path / "example").write_bytes(to_example(graph).SerializeToString())
    program = """
import sys, tensorflow as tf
module = tf.saved_model.load(sys.argv[1])
answer = module.signatures["serving_default"](examples=tf.constant([open("example", "rb").read()] * 3))
print(answer["score"].numpy().tolist())
assert not {"tfnas", "tensorflow_gnn"} & set(sys.modules)
"""
    printed = plain.run(program, str(trained[0]), folder=tmp_path)
    expected = SavedPredictor(trained[0]).predict(graph).score
    np.testing.assert_allclose(eval(printed), [expected] * 3, atol=1e-5)


def test_a_target_of_few_labels(encoder, graphs):
    predictor = GraphPredictor(encoder, CONFIG, 1, target="nats_size", labels=25)
    summary = predictor.fit(graphs, graphs.labels).summary
    assert list(summary["spearman"]) == ["nats_size"]
    assert summary["spearman"]["nats_size"] > 0.5


def test_refusals(encoder, graphs):
    def train(packed, **changes):
        return GraphPredictor(encoder, CONFIG, 1, **changes).fit(packed, packed.labels)

    missing = graphs.labels.copy()
    missing[3] = np.nan
    with pytest.raises(ConfigurationError, match="graph 3, of family 'nasbench101', has no label"):
        train(graphs.with_labels(missing))
    with pytest.raises(ConfigurationError, match="target='darts', expected one of nasbench101, nats_size"):
        train(graphs, target="darts")
    with pytest.raises(ConfigurationError, match="labels=60 of 'nats_size', expected 3 to 59"):
        train(graphs, target="nats_size", labels=60)
    with pytest.raises(ConfigurationError, match="'nats_size' has 2 labelled graphs, expected at least 10"):
        train(graphs[np.arange(62)])
    with pytest.raises(ConfigurationError, match="all labels of family 'nasbench101' are equal"):
        train(graphs.with_labels(np.zeros(len(graphs))))


def test_a_fitted_predictor_and_its_export_agree(trained):
    graphs = sample("nats_size", 5)
    mean, stddev = trained[1].predict(pack(graphs))
    answers = SavedPredictor(trained[0]).predict_all(graphs)
    np.testing.assert_allclose(mean, [answer.score for answer in answers], atol=1e-5)
    np.testing.assert_allclose(stddev, [answer.stddev for answer in answers], atol=1e-5)


def test_an_empty_graph(trained):
    empty = ComputationGraph(*(np.zeros(shape) for shape in ((0,), (0, 6), (0, 2), (0,), (0,), (0, 2))), name="void")
    with pytest.raises(ConfigurationError, match="void has no operators"):
        SavedPredictor(trained[0]).predict(empty)


def test_damage(trained, tmp_path):
    with pytest.raises(CorruptArtefactError, match="no such file"):
        SavedPredictor(tmp_path)


def test_the_export_knows_the_origin_of_its_labels(trained):
    assert SavedPredictor(trained[0]).manifest["training"]["labels"]["nats_size"] == "sizes"


def test_labels_of_a_benchmark_come_from_a_named_column():
    default, validation = (
        labelled.read([LabelSource.parse(text)]) for text in ("digits201:12", "digits201:12:validation_accuracy_12")
    )
    assert default.graphs.families == ("nasbench201",)
    assert len(default.graphs) == 12
    assert default.origins == {"nasbench201": "test_accuracy_12 of digits201"}
    assert validation.origins == {"nasbench201": "validation_accuracy_12 of digits201"}
    evaluator = BENCHMARKS["digits201"].evaluator()
    rows = np.random.default_rng(1).permutation(len(evaluator.table))[:12]
    for examples, column in ((default, "test"), (validation, "mean_validation")):
        np.testing.assert_allclose(examples.graphs.labels, getattr(evaluator.scores, column)[rows], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imagenet:3", "benchmark 'imagenet', expected one of digits201"),
        ("digits201:x", "--benchmarks=digits201:x: expected a name, or a name and :COUNT"),
        ("digits201:3:flops:4", "expected a name, or a name and :COUNT"),
        ("digits201:12:accuracy", "benchmark 'digits201': no column 'accuracy' in the table, expected one of flops"),
        ("digits201::training_seconds_12", "column 'training_seconds_12' holds no accuracies"),
        ("digits201:99999", "benchmark 'digits201' has 15625 labelled graphs, 99999 were asked for"),
    ],
)
def test_labels_that_can_not_be_read(text, message):
    with pytest.raises(ConfigurationError, match=message):
        labelled.read([LabelSource.parse(text)])


def test_a_family_has_one_label():
    with pytest.raises(ConfigurationError, match="other labels are of nasbench201 too"):
        labelled.read([LabelSource.parse(text) for text in ("digits201:3", "digits201:4")])
    with pytest.raises(ConfigurationError, match="nothing to learn from; pass --benchmarks or --corpus"):
        labelled.read([])
