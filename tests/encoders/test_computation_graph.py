"""The encoder of computation graphs: NumPy oracles, invariances, training on replicas, export."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from reproductions.predictor.regression import FineTuner, GraphRegressor, RegressionConfig, train
from tests import plain
from tests.graphs.test_packed import sample
from tests.reference import computation_graph as reference
from tfnas.corpora.graphs import require_labels
from tfnas.encoders.computation_graph import similarity
from tfnas.encoders.computation_graph.config import PRESETS, preset
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.encoders.computation_graph.task import ContrastiveTask, GraphPretraining
from tfnas.encoders.contrastive import Members, contrastive_losses
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs import spectra
from tfnas.graphs.computation_graph import ComputationGraph, to_example, to_graph_tensor
from tfnas.graphs.packed import embed_packed, pack
from tfnas.training import loop
from tfnas.training.log import MetricsLog, read_metrics
from tfnas.training.strategies import get_strategy

SMALL = {"width": 8, "layers": 2, "embedding_dim": 6, "projection_dim": 4, "batch_size": 8, "num_neighbours": 2}


def small(name="tfnas", **changes):
    return preset(name, **(SMALL | changes))


def trained_away(model, seed=0):
    """Biases that are not zero, so that a forgotten one shows."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign_add(rng.normal(0, 0.1, variable.shape))
    return model


@pytest.mark.parametrize("name", PRESETS)
def test_embeddings_equal_the_oracle(name):
    model = trained_away(GraphEncoder(small(name), 1))
    graphs = sample(count=2) + sample("mobilenetv3", 1)
    expected = np.stack([reference.embed(model, graph) for graph in graphs])
    np.testing.assert_allclose(embed_packed(model.encode, pack(graphs)), expected, atol=1e-5)
    batch = to_graph_tensor(graphs).merge_batch_to_components()
    np.testing.assert_allclose(model(batch), expected, atol=1e-5)


def permuted(graph, rng):
    """The same graph in another topological order."""
    remaining, order = set(range(graph.num_nodes)), []
    while remaining:
        ready = [node for node in remaining if all(s not in remaining for s, t in graph.edges.tolist() if t == node)]
        order.append(ready[rng.integers(len(ready))])
        remaining.remove(order[-1])
    place = np.argsort(order)
    columns = {name: getattr(graph, name)[order] for name in ("operators", "shapes", "kernels", "bias", "parameters")}
    return graph.replace(edges=place[graph.edges], **columns)


def test_order_of_nodes_and_company_do_not_matter():
    model = GraphEncoder(small(), 1)
    graphs = sample(count=4, seed=5)
    alone = np.concatenate([embed_packed(model.encode, pack([graph])) for graph in graphs])
    np.testing.assert_allclose(embed_packed(model.encode, pack(graphs)), alone, atol=1e-6)
    rng = np.random.default_rng(0)
    shuffled = [permuted(graph, rng) for graph in graphs]
    assert any((a.operators != b.operators).any() for a, b in zip(graphs, shuffled, strict=True))
    np.testing.assert_allclose(embed_packed(model.encode, pack(shuffled)), alone, atol=1e-5)


def members(projections, families, descriptors, partners=None, weight=None):
    count = len(projections)
    partners = np.zeros(count, np.int32) if partners is None else partners
    return Members(
        tf.constant(projections, tf.float32),
        tf.constant(families, tf.int32),
        tf.constant(descriptors, tf.float32),
        tf.range(count),
        tf.constant(partners, tf.int32),
        tf.ones(count) if weight is None else tf.constant(weight, tf.float32),
    )


def some(count=7, seed=0):
    rng = np.random.default_rng(seed)
    projections = rng.normal(size=(count, 5))
    projections /= np.linalg.norm(projections, axis=1, keepdims=True)
    return projections, rng.integers(0, 2, count), rng.normal(0, 0.05, (count, 3)), np.roll(np.arange(count), 1)


@pytest.mark.parametrize("kind", ["spectral", "supcon", "simclr"])
@pytest.mark.parametrize("distant", [False, True])
def test_losses_equal_the_oracle(kind, distant):
    parts = some()
    every = members(*parts)
    found = contrastive_losses(every, every, kind=kind, temperature=0.1, favour_distant=distant)
    expected = reference.contrastive_loss(*parts, kind, 0.1, sign=1 if distant else -1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_special_cases():
    """At an infinite temperature of the weights equation 4.5 is SupCon; a family of two and its partner is SimCLR."""
    projections, families, descriptors, _ = some(8)
    every = members(projections, families, descriptors)
    flat = contrastive_losses(every, every, kind="spectral", temperature=0.1, similarity_temperature=1e9)
    np.testing.assert_allclose(flat, contrastive_losses(every, every, kind="supcon", temperature=0.1), rtol=1e-5)
    pairs = members(projections, np.arange(8) // 2, descriptors, np.arange(8) ^ 1)
    one, other = (contrastive_losses(pairs, pairs, kind=kind, temperature=0.1) for kind in ("spectral", "simclr"))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_relative_temperature_ignores_the_scale_of_descriptors():
    projections, families, descriptors, _ = some(8)
    settings_ = {"kind": "spectral", "temperature": 0.1, "similarity_temperature": 0.5, "relative_temperature": True}
    one, other = (
        contrastive_losses(every, every, **settings_)
        for every in (members(projections, families, descriptors), members(projections, families, 100 * descriptors))
    )
    np.testing.assert_allclose(one, other, rtol=1e-3)


@given(st.integers(0, 10_000), st.sampled_from(["spectral", "supcon", "simclr"]), st.sampled_from([0.01, 0.1, 1.0]))
@settings(max_examples=30, deadline=None)
def test_losses_stay_finite(seed, kind, temperature):
    """Equal embeddings, equal descriptors, one family, an only member, rows that only fill the batch."""
    rng = np.random.default_rng(seed)
    projections, families, descriptors, partners = some(6, seed)
    if rng.random() < 0.5:
        projections = np.repeat(projections[:1], 6, 0)
    if rng.random() < 0.5:
        descriptors = np.zeros_like(descriptors)
    if rng.random() < 0.5:
        families = np.array([0, 0, 0, 0, 0, rng.integers(2)])
    weight = (rng.random(6) < 0.8).astype(np.float32)
    variable = tf.Variable(projections, dtype=tf.float32)
    with tf.GradientTape() as tape:
        every = members(projections, families, descriptors, partners, weight)._replace(projection=variable)
        losses = contrastive_losses(
            every, every, kind=kind, temperature=temperature, relative_temperature=bool(rng.random() < 0.5)
        )
        total = tf.reduce_sum(losses)
    assert np.isfinite(losses.numpy()).all()
    assert np.isfinite(tape.gradient(total, variable).numpy()).all()
    assert (losses.numpy()[weight == 0] == 0).all()


def test_rows_of_weight_zero_do_not_exist():
    projections, families, descriptors, _ = some(7)
    kept = np.array([0, 1, 2, 4, 6])
    weight = np.isin(np.arange(7), kept)
    whole, part = members(projections, families, descriptors, weight=weight), None
    part = members(projections[kept], families[kept], descriptors[kept])
    found = contrastive_losses(whole, whole, kind="spectral", temperature=0.1).numpy()
    np.testing.assert_allclose(found[kept], contrastive_losses(part, part, kind="spectral", temperature=0.1), rtol=1e-5)


def test_spectra_of_packed_graphs():
    graphs = sample(count=3)
    found = similarity.graph_spectra(pack([*graphs, graphs[0]]))
    np.testing.assert_allclose(found[:3], spectra.spectra(graphs), atol=1e-6)
    np.testing.assert_array_equal(found[0], found[3])


def test_operator_shares_are_a_hellinger_distance():
    graphs = sample(count=3)
    shares = similarity.operator_shares(pack(graphs))
    np.testing.assert_allclose((shares**2).sum(axis=1), 1, rtol=1e-5)
    assert shares[0].max() == pytest.approx(
        np.sqrt(
            max(np.unique(graphs[0].operators * 100 + graphs[0].kernels[:, 0], return_counts=True)[1])
            / graphs[0].num_nodes
        )
    )


def test_partners_are_the_nearest_of_the_family():
    rng = np.random.default_rng(0)
    graphs = pack(sample(count=6) + sample("nasbench201", 5))
    points = rng.normal(size=(11, 4))
    found = similarity.nearest(points, graphs, 2)
    for row in range(11):
        family = np.flatnonzero((graphs.family == graphs.family[row]) & (np.arange(11) != row))
        distances = np.linalg.norm(points[family] - points[row], axis=1)
        assert set(found[row]) == set(family[np.argsort(distances)[:2]])
    equal = similarity.nearest(np.zeros((11, 4)), graphs, 2)
    assert (equal != np.arange(11)[:, None]).all()


def test_a_family_of_two():
    graphs = pack(sample(count=6) + sample("nasbench201", 2))
    with pytest.raises(ConfigurationError, match="'nasbench201' has 2 graphs, expected at least 3"):
        ContrastiveTask(small(), graphs, 1, 1)


@pytest.fixture(scope="module")
def graphs():
    return pack(sample(count=20) + sample("nasbench201", 12))


def step(task, strategy, config):
    program = loop.compile_steps(task, config, strategy, 4, True)
    with strategy.scope():
        task.optimizer.build(task.model.trainable_variables)
    indices, weights = loop.epoch_batches(task.num_examples, config, 1)
    draws = task.draw(tf.constant([1, 1]), 4, config.batch_size)
    sums = program(tf.constant(indices[:4]), tf.constant(weights[:4]), draws, tf.constant(4))
    return sums.numpy(), [variable.numpy() for variable in task.model.trainable_variables]


def test_replicas_see_each_others_negatives(graphs, two_replicas):
    """Two replicas give the loss and the weights of one device with the same global batch."""
    config = loop.TrainingConfig(1, 8, 1, 5.0)
    found = []
    for strategy in (get_strategy("default"), two_replicas):
        with strategy.scope():
            task = ContrastiveTask(small(layers=1), graphs, 1, 1, replicas=strategy.num_replicas_in_sync)
        found.append(step(task, strategy, config))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    for first, second in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(first, second, atol=2e-4)


@pytest.fixture(scope="module")
def run_folder(graphs, tmp_path_factory):
    """Folder of a pretraining, beside the folder `killed` that a kill at the end of the second epoch leaves."""
    folder = tmp_path_factory.mktemp("cg")
    write = MetricsLog.write

    def watched(log, epoch, values):
        if epoch == 2:
            shutil.copytree(folder, folder.with_name("killed"))
        write(log, epoch, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MetricsLog, "write", watched)
        GraphPretraining(small(), graphs).run(folder, epochs=2, seed=1)
    return folder


def test_pretraining_leaves_everything_and_resumes_to_the_same(graphs, run_folder):
    for name in ("summary.json", "training.png", "map.png", "encoder/saved_model.pb", "metrics.jsonl"):
        assert (run_folder / name).exists()
    losses = [record["loss"] for record in read_metrics(run_folder / "metrics.jsonl")]
    assert losses[1] < losses[0]
    killed = run_folder.with_name("killed")
    assert len(read_metrics(killed / "metrics.jsonl")) == 1
    GraphPretraining(small(), graphs).run(killed, epochs=2, seed=1, resume=True)
    first, second = (SavedGraphEncoder(folder / "encoder") for folder in (run_folder, killed))
    for weights, others in zip(first.variables(), second.variables(), strict=True):
        np.testing.assert_array_equal(weights, others)
    np.testing.assert_array_equal(first.embed(graphs), second.embed(graphs))


def test_pretraining_refuses(graphs, tmp_path):
    with pytest.raises(ConfigurationError, match="epochs=0"):
        GraphPretraining(small(), graphs).run(tmp_path, epochs=0, seed=1)
    with pytest.raises(ConfigurationError, match="batch_size=64"):
        GraphPretraining(small(batch_size=64), graphs).run(tmp_path, epochs=1, seed=1)
    with pytest.raises(ConfigurationError, match="loss='triplet', expected one of spectral, supcon, simclr"):
        small(loss="triplet")
    with pytest.raises(ConfigurationError, match="temperature=0"):
        small(temperature=0.0)


def test_exported_encoder_needs_nothing_but_tensorflow(run_folder, tmp_path):
    some_graphs = sample(count=3)
    examples = [to_example(graph).SerializeToString() for graph in some_graphs]
    (tmp_path / "examples").write_bytes(b"".join(len(e).to_bytes(4, "little") + e for e in examples))
    program = """
import sys, tensorflow as tf
module = tf.saved_model.load(sys.argv[1])
data, examples = open("examples", "rb").read(), []
while data:
    size = int.from_bytes(data[:4], "little")
    examples.append(data[4 : 4 + size])
    data = data[4 + size :]
print(module.signatures["serving_default"](examples=tf.constant(examples))["embedding"].numpy().tolist())
assert not {"tfnas", "tensorflow_gnn"} & set(sys.modules)
"""
    printed = plain.run(program, str(run_folder / "encoder"), folder=tmp_path)
    expected = SavedGraphEncoder(run_folder / "encoder").embed(some_graphs)
    np.testing.assert_allclose(eval(printed), expected, atol=1e-6)


def test_saved_encoder_refuses(run_folder, tmp_path):
    encoder = SavedGraphEncoder(run_folder / "encoder")
    encoder.manifest["operators"] = encoder.manifest["operators"][:3]
    with pytest.raises(InvalidArchitectureError, match="trained before there was an operator"):
        encoder.embed(sample(count=1))
    empty = ComputationGraph(*(np.zeros(shape) for shape in ((0,), (0, 6), (0, 2), (0,), (0,), (0, 2))), name="void")
    with pytest.raises(InvalidArchitectureError, match="void"):
        encoder.embed([empty])
    with pytest.raises(CorruptArtefactError, match="no such file"):
        SavedGraphEncoder(tmp_path)


def labelled(graphs):
    """Labels that the share of convolutions decides."""
    values = graphs.structure[:, 0] - graphs.structure[:, 0].mean()
    return graphs.with_labels(values / values.std())


def test_regression_learns_and_fine_tuning_starts_from_the_same_weights(graphs, tmp_path):
    target = labelled(graphs)
    model = GraphRegressor(small(layers=1), 1, hidden=(8,))
    schedule = RegressionConfig(epochs=25, batch_size=8, learning_rate=5e-3, tune_epochs=3, tune_batch_size=4)
    train(model, target, schedule, tmp_path, seed=1, strategy=get_strategy("default"))
    losses = [record["loss"] for record in read_metrics(tmp_path / "metrics.jsonl")]
    assert losses[-1] < 0.5 * losses[0]
    tuner = FineTuner(model, schedule, target, 6)
    rows, wanted = np.arange(6), np.arange(6, 20)
    first = tuner.predictions(rows, -target.labels[rows], wanted, 0)
    tuner.predictions(rows, target.labels[rows], wanted, 1)
    np.testing.assert_array_equal(first, tuner.predictions(rows, -target.labels[rows], wanted, 0))
    assert first.shape == (14,)


def test_missing_labels_are_named(graphs):
    labels = np.zeros(len(graphs))
    labels[21] = np.nan
    with pytest.raises(ConfigurationError, match="graph 21, of family 'nasbench201', has no label; 1 have none"):
        require_labels(graphs.with_labels(labels))


def test_fields_of_the_presets():
    assert dataclasses.asdict(PRESETS["paper"])["similarity_temperature"] == 0.05
    with pytest.raises(ConfigurationError, match="unknown preset"):
        preset("none")
